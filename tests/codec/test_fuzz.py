"""Thousands of damaged files: each decodes, or is refused by a CodecError; nothing else happens."""

import importlib.util
import random

import numpy as np
import pytest
import torch

from unweave.codec import SpectrogramCodec, _shares
from unweave.errors import CodecError

AUDIO = torch.randn(2, 30_000, generator=torch.Generator().manual_seed(0))
KINDS = {
    "jpeg": {},
    "norbert": {},
    "png": {"format": "png", "bits": 12},
    "fast": {"format": "png", "bits": 5},
    "webp": {"format": "webp"},
    "avif": {"format": "avif", "quality": 40},
}
if importlib.util.find_spec("pillow_jxl") is not None:
    KINDS["jxl"] = {"format": "jxl"}
# A damaged AVIF or JPEG XL file can take its decoder as long as twenty of the others.
MUTATIONS = {
    "jpeg": 3000,
    "norbert": 600,
    "png": 1500,
    "fast": 1500,
    "webp": 800,
    "avif": 300,
    "jxl": 300,
}


def mutated(file, draw):
    """Damage a file: bits flipped, bytes overwritten, cut out, doubled, or the end lost."""
    data = bytearray(file)
    header = draw.random() < 0.6  # most damage of the coded pixels only changes pixels
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        at = draw.randrange(min(len(data), 900) if header else len(data))
        match draw.randrange(5):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.choice([0, 0x7F, 0x80, 0xFF, draw.randrange(256)])
            case 2:
                del data[at : at + draw.choice([1, 2, 7, 100])]
            case 3:
                data[at:at] = data[at : at + draw.choice([1, 4, 50])]
            case _:
                del data[max(20, draw.randrange(len(data))) :]
        if len(data) < 2:
            break
    return bytes(data)


@pytest.mark.parametrize(("kind", "threads"), [*((kind, 1) for kind in KINDS), ("jpeg", 2)])
def test_damaged_files_are_decoded_or_refused(kind, threads, monkeypatch):
    monkeypatch.setattr(_shares, "_SHARE", 2**13)
    torch.set_num_threads(threads)
    options = {"n_fft": 256, "hop_length": 64, **KINDS[kind]}
    codec = SpectrogramCodec("norbert" if kind == "norbert" else "balanced", **options)
    file = codec.encode(AUDIO, sample_rate=44_100)
    draw = random.Random(kind)
    decoded = refused = 0
    lines = set()
    for _ in range(MUTATIONS[kind]):
        damaged = mutated(file, draw)
        start = draw.choice([0, 0, 200])
        try:
            magnitude = codec.decode(damaged, start=start, frames=draw.choice([1, 50, 200]))
        except CodecError as error:
            lines |= {len(str(error).splitlines())}
            refused += 1
        else:
            assert bool(torch.isfinite(magnitude).all())
            assert float(magnitude.min()) >= 0
            decoded += 1
    assert lines == {1}
    assert decoded or kind == "png"  # whose check sums notice everything
    assert refused > MUTATIONS[kind] / 5


def test_random_bytes_are_refused():
    draw = np.random.default_rng(0)
    starts = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFFxxxxWEBP", b"\0\0\0 ftypavif", b"\xff\x0a")
    for start in starts if "jxl" in KINDS else starts[:-1]:
        for size in (0, 10, 500):
            for _ in range(10):
                with pytest.raises(CodecError):
                    SpectrogramCodec().decode(start + draw.bytes(size))
