"""Weights files: safetensors whose metadata names a registered architecture and its arguments.

No class path, no pickle and no code is read from a file. The architecture's name, its arguments
and the shape of every tensor are checked before memory is allocated for any of them.
"""

import inspect
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unweave.errors import ParameterError, UnweaveError, WeightsError
from unweave.models.registry import ARCHITECTURES, Architecture

FORMAT_VERSION = 1
_VERSION, _ARCHITECTURE, _CONFIG = "unweave.format", "unweave.architecture", "unweave.config"
_MAX_HEADER = 1 << 20
_MAX_ITEMS, _MAX_TEXT = 64, 64
_FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_INTEGERS = {"I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}


def save_weights(
    path: str | Path,
    model: nn.Module,
    *,
    architecture: str,
    config: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network's weights to a safetensors file.

    Args:
        path: of the file, which appears complete or not at all.
        model: the network; its persistent buffers are kept too.
        architecture: key of `unweave.models.registry.ARCHITECTURES`.
        config: arguments that the architecture was built with.
        metadata: more text to keep, such as the training data and the figures reached.
        dtype: floating type to store; `torch.float16` halves the file. None keeps the model's.

    Raises:
        ParameterError: the architecture is unknown, or a building with `config` does not give a
            network of the same shapes.
        WeightsError: the file cannot be written, or a weight is not finite.

    Example:
        >>> from unweave.models.bandmask import BandMaskNet
        >>> config = {"widths": [4, 4, 4], "recurrent": 8}
        >>> model = BandMaskNet(**config)
        >>> save_weights("b.safetensors", model, architecture="bandmask", config=config)
        >>> load_weights("b.safetensors").sources
        ('vocals', 'drums', 'bass', 'other')
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ParameterError(f"unknown architecture {architecture!r}: known are {known}")
    target = Path(path)
    tensors = {name: _stored(t, dtype, f"{target}: {name}") for name, t in _state(model).items()}
    try:
        _check_shapes(
            _skeleton(architecture, json.loads(json.dumps(dict(config)))),
            {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        )
    except WeightsError as error:
        raise ParameterError(
            f"config={dict(config)} does not describe this model: {error}"
        ) from error
    texts = {
        **(metadata or {}),
        "format": "pt",
        _VERSION: str(FORMAT_VERSION),
        _ARCHITECTURE: architecture,
        _CONFIG: json.dumps(dict(config), sort_keys=True),
    }
    _write(target, tensors, texts)


def _write(target: Path, tensors: dict[str, Tensor], texts: dict[str, str]) -> None:
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".weights-") as folder:
            part = Path(folder) / target.name
            part.touch()
            mode = part.stat().st_mode  # safetensors would let nobody else read it
            save_file(tensors, part, metadata=texts)
            part.chmod(mode)
            part.replace(target)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{target}: cannot be written: {error}") from error


def load_weights(path: str | Path) -> nn.Module:
    """Build the network that a weights file describes, on the CPU, in evaluation mode.

    Args:
        path: of a file written by `save_weights`.

    Returns:
        The network, its floating weights in float32.

    Raises:
        WeightsError: the file is missing, damaged, too large, foreign or of a newer format.

    Example:
        >>> from unweave.models import model_info
        >>> load_weights(model_info("bandmask").weights).sources
        ('vocals', 'drums', 'bass', 'other')
    """
    source = Path(path)
    _check_file(source)
    try:
        with safe_open(source, framework="pt") as file:
            name, config = _description(file.metadata() or {})
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            shapes = {key: tuple(piece.get_shape()) for key, piece in slices.items()}
            skeleton = _skeleton(name, config)
            _check_shapes(skeleton, shapes)
            types = {key: piece.get_dtype() for key, piece in slices.items()}
            _check_types(skeleton, types)
            tensors = {key: _loaded(file.get_tensor(key), key) for key in slices}
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{source}: is damaged or no safetensors file ({_one_line(error)}): fetch it again"
        ) from error
    # Real this time: its size was found to be that of the file. Initial weights are drawn from
    # torch's global generator, which must not be seen to move.
    with torch.random.fork_rng(devices=[]):
        model = _build(ARCHITECTURES[name], config)
    model.load_state_dict(tensors)
    return model.eval()


def weights_metadata(path: str | Path) -> dict[str, str]:
    """Return the text that a weights file carries, without loading its tensors.

    Args:
        path: of the file.

    Returns:
        Everything given to `save_weights` as `metadata`, and unweave's own entries.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    source = Path(path)
    _check_file(source)
    try:
        with safe_open(source, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{source}: is damaged or no safetensors file ({_one_line(error)}): fetch it again"
        ) from error


def _check_file(path: Path) -> None:
    """Refuse what is no safetensors file before a parser sees it."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise WeightsError(
            f"{path}: {(error.strerror or str(error)).lower()}; give the path of a .safetensors"
            " file or the name of a model (`unweave models` lists them)"
        ) from error
    header = int.from_bytes(start[:8], "little")
    if not 2 <= header <= min(size - 8, _MAX_HEADER) or not start.endswith(b"{"):
        if start.startswith((b"PK\x03\x04", b"\x80")):
            raise WeightsError(
                f"{path}: is a PyTorch or pickle file, which can run code when it is loaded: load"
                " it where you trust it and write it anew with unweave.models.save_weights"
            )
        raise WeightsError(
            f"{path}: is damaged or no safetensors file ({size} bytes with a header of {header}):"
            " fetch it again"
        )


def _description(metadata: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the architecture's name and arguments."""
    if _VERSION not in metadata:
        raise WeightsError(
            "is a safetensors file of another program: only files written by"
            " unweave.models.save_weights say how their network is built"
        )
    if metadata[_VERSION] != str(FORMAT_VERSION):
        raise WeightsError(
            f"has format {metadata[_VERSION][:20]!r}, this version of unweave reads"
            f" {FORMAT_VERSION}: update unweave"
        )
    name = metadata.get(_ARCHITECTURE, "")
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(
            f"needs the architecture {name[:40]!r}, this version of unweave has {known}:"
            " update unweave"
        )
    try:
        config = json.loads(metadata.get(_CONFIG, ""))
    except (ValueError, RecursionError) as error:
        raise WeightsError("its configuration is no JSON: fetch it again") from error
    if not isinstance(config, dict):
        raise WeightsError("its configuration is no JSON object: fetch it again")
    return name, config


def _skeleton(name: str, config: dict[str, Any]) -> nn.Module:
    """Build a network without memory for its weights."""
    architecture = ARCHITECTURES[name]
    parameters = inspect.signature(architecture.load()).parameters
    for key, value in config.items():
        if key not in parameters:
            raise WeightsError(
                f"its configuration has the unknown entry {key[:40]!r}, {name} takes"
                f" {', '.join(parameters)}: update unweave"
            )
        _check_value(key, value, parameters[key].default, architecture)
    with torch.device("meta"):
        return _build(architecture, config)


def _build(architecture: Architecture, config: Mapping[str, Any]) -> nn.Module:
    try:
        return architecture.load()(**config)
    except (UnweaveError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise WeightsError(f"its configuration cannot be built: {_one_line(e)}") from e


def _check_value(key: str, value: object, default: object, architecture: Architecture) -> None:
    """Hold one argument against the kind of its default and the registry's limits."""
    if isinstance(default, tuple | list):
        if not isinstance(value, list) or len(value) > _MAX_ITEMS or not default:
            raise WeightsError(f"its configuration's {key} must be a list of up to {_MAX_ITEMS}")
        for item in value:
            _check_value(key, item, default[0], architecture)
    elif isinstance(default, str):
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise WeightsError(f"its configuration's {key} must be text of up to {_MAX_TEXT}")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise WeightsError(f"its configuration's {key} must be true or false")
    else:
        low, high = architecture.limits[key]
        kinds = int | float if isinstance(default, float) else int
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        if not fits or not low <= value <= high:  # type: ignore[operator]
            raise WeightsError(f"its configuration's {key} must be a number from {low} to {high}")


def _check_shapes(skeleton: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in _state(skeleton).items()}
    for name in sorted(wanted.keys() ^ shapes.keys()):
        kind = "lacks" if name in wanted else "has the unknown"
        raise WeightsError(f"{kind} tensor {name[:80]!r}: fetch it again or update unweave")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise WeightsError(
                f"its tensor {name!r} has shape {shapes[name]}, not {shape}: fetch it again"
            )


def _check_types(skeleton: nn.Module, types: Mapping[str, str]) -> None:
    for name, tensor in _state(skeleton).items():
        if types[name] not in (_FLOATS if tensor.is_floating_point() else _INTEGERS):
            raise WeightsError(
                f"its tensor {name!r} has type {types[name]}, which does not fit"
                f" {tensor.dtype}: fetch it again"
            )


def _state(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.state_dict())


def _stored(tensor: Tensor, dtype: torch.dtype | None, what: str) -> Tensor:
    if tensor.is_floating_point():
        stored = tensor.detach().to("cpu", dtype or tensor.dtype, copy=True).contiguous()
        if not bool(torch.isfinite(stored).all()):
            raise WeightsError(f"{what} would hold values that are not finite in {stored.dtype}")
        return stored
    return tensor.detach().to("cpu", copy=True).contiguous()


def _loaded(tensor: Tensor, name: str) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(torch.float32)
    if not math.isfinite(float(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"its tensor {name!r} holds values that are not finite: fetch it again")
    return tensor


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
