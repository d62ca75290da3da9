"""pydantic, or one line that says how to install it."""

from unweave.errors import DependencyError

try:
    from pydantic import (
        BaseModel,
        BeforeValidator,
        ConfigDict,
        Field,
        ValidationError,
        model_validator,
    )
except ImportError as error:
    raise DependencyError(
        "configurations need pydantic: pip install 'unweave[train]' (a trained model's weights can"
        " be used without: unweave separate --model path/to/best.safetensors)"
    ) from error

__all__ = [
    "BaseModel",
    "BeforeValidator",
    "ConfigDict",
    "Field",
    "ValidationError",
    "model_validator",
]
