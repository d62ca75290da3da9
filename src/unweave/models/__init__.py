"""Networks, and the trained models that the package carries."""

from importlib import import_module
from typing import TYPE_CHECKING

from unweave.models.registry import (
    DEFAULT_MODEL,
    ModelInfo,
    create_model,
    list_models,
    load_model,
    model_info,
)

if TYPE_CHECKING:
    from unweave.models.protocol import SeparationNetwork
    from unweave.models.weights import load_weights, save_weights

# These need torch; listing models does not.
_LAZY = {
    "SeparationNetwork": "unweave.models.protocol",
    "load_weights": "unweave.models.weights",
    "save_weights": "unweave.models.weights",
}

__all__ = [
    "DEFAULT_MODEL",
    "ModelInfo",
    "SeparationNetwork",
    "create_model",
    "list_models",
    "load_model",
    "load_weights",
    "model_info",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'unweave.models' has no attribute {name!r}")
