"""Excerpts a second: unweave's loader beside plain reading of the same excerpts by soundfile.

The bundled song is repeated to two minutes and written as wav, FLAC and Ogg Vorbis, four stems and
no mixture. Both sides make the same pairs, in the same places: the mixture as the sum of the stems,
and the targets, as float32 tensors of shape (channels, time). Seconds are process time of one
thread, taken in turns, the median of several rounds; files and cache are in the memory of the
system on both sides. Building the cache is timed once.

    python benchmarks/datasets.py [--seconds 3] [--excerpts 40] [--rounds 7]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import soundfile
import torch
from torch import Tensor

from unweave.audio import read, write
from unweave.datasets import AudioFolder, standard_augmentation
from unweave.datasets.cutting import Cutter

RATE = 44_100
SONG = Path(__file__).parents[1] / "examples" / "song"
STEMS = ("vocals", "bass", "drums", "other")


def make(folder: Path, extension: str, seconds: int = 120) -> None:
    folder.mkdir(parents=True)
    for name in STEMS:
        signal, _ = read(SONG / f"{name}.ogg")
        times = -(-seconds * RATE // signal.shape[1])
        write(folder / f"{name}.{extension}", signal.repeat(1, times)[:, : seconds * RATE], RATE)


def plain(folder: Path, extension: str, start: int, length: int, mono: bool) -> tuple[Tensor, ...]:
    """Read an excerpt as one does without a cache."""
    stems = []
    for name in STEMS:
        path = folder / f"{name}.{extension}"
        audio, _ = soundfile.read(path, frames=length, start=start, dtype="float32")
        signal = torch.from_numpy(audio.T)
        stems.append(signal.mean(0, keepdim=True) if mono else signal)
    signals = torch.stack(stems)
    return signals.sum(0), signals[:1]


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(folder: Path, extension: str, options: argparse.Namespace, mono: bool) -> None:
    start = time.process_time()
    data = AudioFolder(
        folder.parent,
        sample_length=options.seconds,
        num_channels=1 if mono else None,
        cache_dir=folder.parents[1] / "cache",
    )
    built = time.process_time() - start
    rng = np.random.default_rng(0)
    starts = rng.integers(data.tracks[0].frames - data.length, size=options.excerpts)
    stems = [data.tracks[0].stems[name] for name in data.sources]
    cutter = Cutter(data.num_channels)

    def ours() -> None:
        for first in starts:
            cutter.mix(stems, [int(first)] * len(stems), data.length, 1)

    def theirs() -> None:
        for first in starts:
            plain(folder, extension, int(first), data.length, mono)

    ours(), theirs()
    times = [(timed(ours), timed(theirs)) for _ in range(options.rounds)]
    own, other = (options.excerpts / median(column) for column in zip(*times, strict=True))
    kind = "mono" if mono else "stereo"
    print(
        f"{extension:<5}{kind:<8}{other:10.0f}{own:10.0f}{own / other:8.1f} x"
        f"   decoded in {built:.1f} s"
    )


def draws(root: Path, options: argparse.Namespace) -> None:
    """Time whole draws: choosing places, other songs' stems, augmentation."""
    augment = standard_augmentation(RATE)
    words = {"sample_length": options.seconds, "cache_dir": root.parent / "cache"}
    print("\ndrawn by AudioFolder, four stereo stems, all of them targets")
    for name, more in (
        ("aligned", {}),
        ("remix", {"remix": 1.0}),
        ("remix and standard_augmentation", {"remix": 1.0, "augment": augment}),
    ):
        folder = AudioFolder(root, STEMS, **words, **more)
        numbers = range(options.excerpts)

        def draw(folder: AudioFolder = folder, numbers: range = numbers) -> None:
            for index in numbers:
                folder.excerpt(index)

        draw()
        rate = options.excerpts / median(timed(draw) for _ in range(options.rounds))
        print(f"{name:<33}{rate:8.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--excerpts", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("excerpts a second of process time\n             soundfile   unweave")
    with tempfile.TemporaryDirectory() as scratch:
        for extension in ("wav", "flac", "ogg"):
            folder = Path(scratch) / extension / "song"
            make(folder, extension)
            for mono in (False, True):
                compare(folder, extension, options, mono)
        draws(Path(scratch) / "wav", options)


if __name__ == "__main__":
    main()
