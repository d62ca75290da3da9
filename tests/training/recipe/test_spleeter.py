"""The reader of TensorFlow's checkpoints, on files that the tests write by its format."""

import struct

import numpy as np
import pytest
import torch

from unweave.models.voice_unet import VoiceUNet
from unweave.training.recipe import spleeter

WIDTHS = (2, 3, 4, 5, 6, 7)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def block(items):
    """Keys share the beginning of the one before, as in the real files."""
    out, last = b"", b""
    for key, value in items:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:]
        out, last = out + value, key
    return out + struct.pack("<II", 0, 1)


def write(prefix, tensors, *, kind=b"\x00"):
    data, entries = b"", [(b"", b"\x08\x01")]
    for name in sorted(tensors):
        raw = tensors[name].astype("<f4").tobytes()
        axes = b"".join(
            b"\x12" + varint(len(axis)) + axis
            for axis in (b"\x08" + varint(size) for size in tensors[name].shape)
        )
        entry = b"\x08\x01\x12" + varint(len(axes)) + axes + b"\x20" + varint(len(data))
        entry += b"\x28" + varint(len(raw)) + b"\x35" + b"\x00" * 4
        entries.append((name.encode(), entry))
        data += raw
    entries.append((b"zz_step", b"\x08\x09\x12\x00\x28\x08"))  # an integer
    body = block(entries)
    place = varint(0) + varint(len(body))
    top = block([(b"zzz", place)])
    start = len(body) + 5  # each block is followed by its kind and a sum
    footer = varint(0) + varint(0) + varint(start) + varint(len(top))
    index = body + kind + b"\x00" * 4 + top + b"\x00" * 5 + footer.ljust(40, b"\x00") + b"\x00" * 8
    prefix.with_name("model.index").write_bytes(index)
    prefix.with_name("model.data-00000-of-00001").write_bytes(data)


def checkpoint(rng):
    """Two networks of small widths, as Spleeter numbers their layers."""
    tensors = {}

    def numbered(layer, number):
        return f"{layer}_{number}" if number else layer

    for net in range(2):
        into, out = (2, *WIDTHS[:-1]), (*WIDTHS[-2::-1], 1)
        below = (WIDTHS[-1], *(2 * width for width in out[:-1]))
        shapes = [("conv2d", (5, 5, a, b), b) for a, b in zip(into, WIDTHS, strict=True)]
        shapes.append(("conv2d", (4, 4, 1, 2), 2))
        for i, (layer, shape, width) in enumerate(shapes):
            name = numbered(layer, 7 * net + i)
            tensors[f"{name}/kernel"], tensors[f"{name}/bias"] = (
                rng.random(shape),
                rng.random(width),
            )
        for i, (a, b) in enumerate(zip(below, out, strict=True)):
            name = numbered("conv2d_transpose", 6 * net + i)
            tensors[f"{name}/kernel"], tensors[f"{name}/bias"] = (
                rng.random((5, 5, b, a)),
                rng.random(b),
            )
        for i, width in enumerate((*WIDTHS, *out)):
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                name = numbered("batch_normalization", 12 * net + i)
                tensors[f"{name}/{part}"] = rng.random(width)
    return tensors


def test_every_tensor_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    written = {"a": rng.random((3, 200)), "a/b": rng.random(7), "ab": rng.random((2, 1, 5, 4))}
    write(tmp_path / "model", written)
    found = spleeter.read_checkpoint(tmp_path / "model")
    assert set(found) == set(written)
    for name, values in written.items():
        np.testing.assert_array_equal(found[name], values.astype(np.float32))


def test_the_first_network_becomes_a_voice_unet(tmp_path, monkeypatch):
    tensors = checkpoint(np.random.default_rng(1))
    write(tmp_path / "model", tensors)
    net = VoiceUNet(widths=WIDTHS)
    monkeypatch.setattr(spleeter, "VoiceUNet", lambda: net)
    net.load_state_dict(spleeter.voice_weights(tmp_path / "model"))
    for tensor, name in (
        (net.down[5].weight, "conv2d_5/kernel"),
        (net.leave.weight, "conv2d_6/kernel"),
        (net.up[0].weight, "conv2d_transpose/kernel"),
        (net.up[5].weight, "conv2d_transpose_5/kernel"),
    ):
        expected = torch.from_numpy(tensors[name]).float().permute(3, 2, 0, 1)
        assert torch.equal(tensor, expected)
    norm = net.up_norms[2]
    for tensor, part in ((norm.weight, "gamma"), (norm.running_var, "moving_variance")):
        expected = torch.from_numpy(tensors[f"batch_normalization_8/{part}"]).float()
        assert torch.equal(tensor, expected)


def test_a_compressed_index_is_refused(tmp_path):
    write(tmp_path / "model", {"a": np.zeros(3)}, kind=b"\x01")
    with pytest.raises(ValueError, match="compressed"):
        spleeter.read_checkpoint(tmp_path / "model")
