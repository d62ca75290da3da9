"""A long file needs no more memory than a short one, in every step from file to file."""

import subprocess
import sys

import pytest

CHAIN = """
import resource, sys, torch
from unweave import audio

torch.set_num_threads(1)
folder, source, target, minutes = sys.argv[1:4] + [int(sys.argv[4])]
noise = torch.rand(2, 44100 * 10, generator=torch.Generator().manual_seed(0)) - 0.5
with audio.AudioWriter(f"{folder}/a.{source}", sample_rate=44100, channels=2) as writer:
    for _ in range(6 * minutes):
        writer.write(noise)
resampler, meter = audio.Resampler(44100, 48000, 2), audio.LoudnessMeter(48000, 2)
with (
    audio.AudioReader(f"{folder}/a.{source}") as reader,
    audio.AudioWriter(f"{folder}/b.{target}", sample_rate=48000, channels=2) as writer,
):
    while reader.position < reader.info.frames:
        block = reader.read(1 << 17)
        block = resampler.process(block, last=reader.position == reader.info.frames)
        meter.update(block)
        writer.write(block)
assert writer.frames == audio.info(f"{folder}/b.{target}").frames == minutes * 60 * 48000
print(meter.integrated, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def chain(folder, source, target, minutes):
    """Read, resample, measure and write; return the peak of resident memory in MB."""
    command = [sys.executable, "-c", CHAIN, str(folder), source, target, str(minutes)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    return float(run.stdout.split()[1])


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("wav", "flac"), ("m4a", "m4a")])
def test_memory_does_not_grow_with_length(tmp_path, source, target):
    short = chain(tmp_path, source, target, 1)
    long = chain(tmp_path, source, target, 4)
    assert long < short + 40
