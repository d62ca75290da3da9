"""Thousands of damaged files: an AudioFileError or a result, never a crash, a hang or a flood."""

import subprocess
import sys

import pytest
import torch

from unweave import audio

# Runs in a process of its own, because a crash of a decoder must not end the test run
FUZZ = """
import random, resource, sys, time
from pathlib import Path

import torch
from unweave import audio
from unweave.errors import AudioFileError, DependencyError

torch.set_num_threads(1)
folder, count = Path(sys.argv[1]), int(sys.argv[2])
audio.read(folder / "seed.m4a")  # load the libraries before the limit
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (1 << 30),) * 2)

def mutate(content, chance):
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(min(len(content), chance.choice((64, 400, len(content)))))
        kind = chance.randrange(6)
        if kind == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:
            content[at : at + 4] = chance.choice((b"\\xff" * 4, bytes(4), b"\\x7f\\xff\\xff\\xff"))
        elif kind == 3:
            del content[at : at + chance.choice((1, 7, 100))]
        elif kind == 4:
            content[at:at] = chance.randbytes(chance.choice((1, 7, 100)))
        else:
            del content[at:]
        if not content:
            return b"x"
    return bytes(content)

done = failed = 0
slowest = 0.0
target = folder / "mutant"
for seed in sorted(folder.glob("seed.*")):
    chance = random.Random(seed.name)
    content = seed.read_bytes()
    for index in range(count):
        target.write_bytes(mutate(content, chance))
        start = time.monotonic()
        try:
            audio.info(target)
            for block in audio.blocks(target, 1 << 20):
                done += 1
                if time.monotonic() - start > 2:
                    break
            audio.read(target, start=0.03, duration=0.04)
        except (AudioFileError, audio.reading.ParameterError):
            failed += 1
        except BaseException:
            target.rename(folder / f"bad-{seed.name}-{index}")
            print(seed.name, index, flush=True)
            raise
        slowest = max(slowest, time.monotonic() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(done, failed, round(slowest, 2), peak // 1024)
"""


@pytest.mark.slow
def test_mutated_files(tmp_path):
    signal = torch.rand(2, 4800, generator=torch.Generator().manual_seed(0)) - 0.5
    tags = {"title": "x" * 40, "artist": "y"}
    for name in ("wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "m4a"):
        audio.write(tmp_path / f"seed.{name}", signal, 48000, tags=tags)
    audio.write_stems(tmp_path / "seed.mp4", signal, {"a": signal}, 48000)
    run = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path), "300"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert run.returncode == 0, (run.returncode, run.stdout, run.stderr[-2000:])
    done, failed, slowest, peak = run.stdout.split()
    assert int(done) > 200
    assert int(failed) > 200
    assert float(slowest) < 5
    assert int(peak) < 1200
