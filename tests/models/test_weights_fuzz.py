"""Thousands of mutated weights files: each loads or is refused in one line, nothing else."""

import random
import resource
import struct

import pytest
import torch

from unweave.errors import WeightsError
from unweave.models import load_weights, save_weights

KINDS = ("flip", "byte", "cut", "grow", "swap", "repeat", "number", "length")


def mutate(data: bytes, chance: random.Random) -> bytes:
    header = 8 + struct.unpack("<Q", data[:8])[0]
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        kind = chance.choice(KINDS)
        # Most of what can go wrong lies in the header.
        i = chance.randrange(min(header, len(result)) if chance.random() < 0.8 else len(result))
        j = min(len(result), i + chance.randrange(1, 40))
        if kind == "flip":
            result[i] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            result[i] = chance.choice(b'{}[]":,0129-eE.\\\x00\xff')
        elif kind == "cut":
            del result[i : j if chance.random() < 0.7 else len(result)]
        elif kind == "grow":
            result[i:i] = chance.randbytes(chance.randrange(1, 40))
        elif kind == "swap":
            k = chance.randrange(len(result))
            result[i:j], result[k : k + j - i] = result[k : k + j - i], result[i:j]
        elif kind == "repeat":
            result[i:i] = result[i:j] * chance.randrange(1, 30)
        elif kind == "number":
            result[i:i] = str(chance.choice((0, 9, 2**31, 2**63, 10**30))).encode()
        elif kind == "length":
            result[:8] = struct.pack("<Q", chance.choice((0, 1, header, 2**20, 2**32, 2**63)))
        if len(result) < 9:
            break
    return bytes(result)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_load_or_are_refused(trained, tmp_path, seed):
    path = tmp_path / "net.safetensors"
    save_weights(path, trained, architecture="tiny", config={"width": 3, "sizes": [2, 2]})
    data = path.read_bytes()
    chance = random.Random(seed)
    errors = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        path.write_bytes(mutate(data, chance))
        try:
            model = load_weights(path)
        except WeightsError as error:
            errors.append(str(error))
        else:
            assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert len(errors) > 800
    assert all("\n" not in text and len(text) < 600 for text in errors)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 1024  # kilobytes
