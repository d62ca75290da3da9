"""Train separators: a folder of stems in, a model of one's own out (extra `train`)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unweave.training.config import Config
    from unweave.training.config_files import load_config, save_config
    from unweave.training.model_folder import ModelFolder
    from unweave.training.network import build_network

# These need torch or pydantic.
_LAZY = {
    "Config": "unweave.training.config",
    "ModelFolder": "unweave.training.model_folder",
    "build_network": "unweave.training.network",
    "load_config": "unweave.training.config_files",
    "save_config": "unweave.training.config_files",
}

__all__ = [
    "Config",
    "ModelFolder",
    "build_network",
    "load_config",
    "save_config",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'unweave.training' has no attribute {name!r}")
