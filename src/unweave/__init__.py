"""Take a music mixture apart into its sources.

Importing this package is cheap: the parts below are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unweave import (
        audio,
        codec,
        datasets,
        decomposition,
        errors,
        evaluation,
        filtering,
        losses,
        models,
        plots,
        separation,
        training,
        transforms,
    )
    from unweave.audio import read, write
    from unweave.separation import Separator, separate

__version__ = "0.1.0"

_PARTS = (
    "audio",
    "codec",
    "datasets",
    "decomposition",
    "errors",
    "evaluation",
    "filtering",
    "losses",
    "models",
    "plots",
    "separation",
    "training",
    "transforms",
)
_NAMES = {
    "Separator": "unweave.separation",
    "read": "unweave.audio",
    "separate": "unweave.separation",
    "write": "unweave.audio",
}

__all__ = [
    "Separator",
    "audio",
    "codec",
    "datasets",
    "decomposition",
    "errors",
    "evaluation",
    "filtering",
    "losses",
    "models",
    "plots",
    "read",
    "separate",
    "separation",
    "training",
    "transforms",
    "write",
]


def __getattr__(name: str) -> object:
    if name in _PARTS:
        return import_module(f"unweave.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'unweave' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
