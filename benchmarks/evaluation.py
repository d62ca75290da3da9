"""Speed and agreement of BSSEval version 4 beside museval, on the CPU.

museval's work has a part that does not depend on the length of the track (the equations of the
filters), one that grows with it (the windows), and Fourier transforms of the whole track, padded to
a power of two. It is timed on two excerpts that fill their transforms as much as four minutes do
theirs; a line through both gives the time of four minutes, a little low, since longer transforms
leave the cache. unweave measures the four minutes themselves, the song repeated, the median of
three. Seconds are process time, with one thread, so that a busy machine slows both alike. Agreement
is that of all ratios in all windows of the longer excerpt.

    python benchmarks/evaluation.py [--short 30] [--long 60] [--minutes 4]
"""

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch

from unweave.audio import read
from unweave.evaluation import bss_eval, sdr, si_sdr

RATE = 44_100
SONG = Path(__file__).parents[1] / "examples" / "song"


def museval_metrics() -> ModuleType:
    """Load museval's metrics alone: the whole of it wants ffmpeg."""
    found = importlib.util.find_spec("museval")
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location("m", Path(found.origin).with_name("metrics.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def song(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Give estimates and true stems of the example song, repeated, as 16-bit files hold them."""
    length = int(seconds * RATE)
    stems = [read(SONG / f"{n}.ogg")[0].numpy() for n in ("vocals", "drums", "bass", "other")]
    true = np.roll(np.stack(stems), -12 * RATE, -1)  # from where all stems sound
    true = np.tile(true, (1, 1, -(-length // true.shape[-1])))[..., :length]
    noise = np.random.default_rng(0).standard_normal(true.shape, np.float32)
    estimate = 0.7 * true + 0.2 * true.sum(0) + 0.003 * noise
    return tuple(np.round(x * 32768).astype(np.float32) / 32768 for x in (estimate, true))


def museval(metrics: ModuleType, estimate: np.ndarray, true: np.ndarray) -> np.ndarray:
    e, s = (x.astype(np.float64).swapaxes(1, 2) for x in (estimate, true))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.stack(metrics.bss_eval(s, e, window=RATE, hop=RATE)[:4])


def whole_track(estimate: np.ndarray, true: np.ndarray) -> None:
    """Time SDR and SI-SDR of a track beside the formula as it is usually written in NumPy."""

    def formula() -> np.ndarray:
        target = (estimate * true).sum((1, 2), keepdims=True)
        target = target / (true**2).sum((1, 2), keepdims=True) * true
        error = estimate - target
        return 10 * np.log10((target**2).sum((1, 2)) / (error**2).sum((1, 2)))

    for name, work in (
        ("SDR", lambda: sdr(estimate, true)),
        ("SI-SDR", lambda: si_sdr(estimate, true)),
        ("SI-SDR in NumPy", formula),
    ):
        seconds = sorted(timed(work)[0] for _ in range(5))[2]
        print(f"{name:<16} {1000 * seconds:8.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", type=float, default=30)
    parser.add_argument("--long", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    metrics, times = museval_metrics(), []
    for seconds in (options.short, options.long):
        pair = song(seconds)
        spent, expected = timed(lambda pair=pair: museval(metrics, *pair))
        times.append(spent)
        ours, got = timed(lambda pair=pair: bss_eval(*pair, sample_rate=RATE))
        print(f"{seconds:.0f} s: museval {spent:.1f} s, unweave {ours:.1f} s")
    print(f"largest difference {np.nanmax(np.abs(np.stack(got) - expected)):.1e} dB")
    length = 60 * options.minutes
    slope = (times[1] - times[0]) / (options.long - options.short)
    estimated = times[1] + slope * (length - options.long)
    pair = song(length)
    ours = sorted(timed(lambda: bss_eval(*pair, sample_rate=RATE))[0] for _ in range(3))[1]
    print(f"{length:.0f} s: museval {estimated:.0f} s (by the line), unweave {ours:.1f} s")
    print(f"{estimated / ours:.0f} times as fast")
    whole_track(*pair)


if __name__ == "__main__":
    main()
