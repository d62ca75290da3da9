"""Speed and agreement of BSSEval version 4 and of SI-SDR, beside museval and NumPy, on the CPU.

museval's work has a part that does not depend on the length of the track (the equations of the
filters), one that grows with it (the windows), and Fourier transforms of the whole track, padded to
a power of two. It is timed on an eighth and on a quarter of the track, which fill their transforms
as much as the whole does; a line through both gives the time of the whole, a little low, since
longer transforms leave the cache. With --full it measures the whole itself, once (minutes). unweave
measures the whole, the song repeated, before, between and after: the median. Seconds are process
time, with one thread, so that a busy machine slows both alike. Agreement is that of all ratios in
all windows of the longest that museval measures.

    python benchmarks/evaluation.py [--minutes 4] [--full]
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
from unweave.evaluation import bss_eval, pairwise_si_sdr, sdr, si_sdr

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


def middle(work: Callable[[], object], times: int = 5) -> float:
    return sorted(timed(work)[0] for _ in range(times))[times // 2]


def numpy_si_sdr(estimate: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give SI-SDR as it is usually written."""
    axes = (-2, -1)
    target = (estimate * true).sum(axes, keepdims=True)
    target = target / (true**2).sum(axes, keepdims=True) * true
    error = estimate - target
    return 10 * np.log10((target**2).sum(axes) / (error**2).sum(axes))


def whole_track(estimate: np.ndarray, true: np.ndarray) -> None:
    """Time SDR and SI-SDR beside the formula, of pairs and of all estimates with all stems."""
    print(f"{'SDR':<24} {1000 * middle(lambda: sdr(estimate, true)):8.0f} ms")
    fifth = true.shape[-1] // 5
    short = [x[..., :fifth] for x in (estimate, true)]
    many = [np.concatenate((x, x[::-1] * 0.5 + x)) for x in short]  # eight of each
    for name, ours, theirs, pair in (
        ("SI-SDR", si_sdr, numpy_si_sdr, (estimate, true)),
        ("SI-SDR, 8 x 8, a fifth", pairwise_si_sdr, lambda e, s: numpy_si_sdr(e[:, None], s), many),
    ):
        one, other = (middle(lambda f=f, pair=pair: f(*pair), 3) for f in (ours, theirs))
        print(f"{name:<24} {1000 * one:8.0f} ms, NumPy {1000 * other:.0f} ms: {other / one:.1f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--full", action="store_true", help="run museval on the whole (minutes)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    metrics, times, ours = museval_metrics(), [], []
    length = 60 * options.minutes
    whole = song(length)
    lengths = (length,) if options.full else (length / 8, length / 4)
    for seconds in lengths:
        ours.append(timed(lambda: bss_eval(*whole, sample_rate=RATE))[0])
        pair = song(seconds)
        spent, expected = timed(lambda pair=pair: museval(metrics, *pair))
        times.append(spent)
        print(f"{seconds:.0f} s: museval {spent:.1f} s")
    got = bss_eval(*pair, sample_rate=RATE)
    print(f"largest difference {np.nanmax(np.abs(np.stack(got) - expected)):.1e} dB")
    while len(ours) < 3:
        ours.append(timed(lambda: bss_eval(*whole, sample_rate=RATE))[0])
    one, other = sorted(ours)[1], times[-1]
    if not options.full:
        other += (times[1] - times[0]) / (lengths[1] - lengths[0]) * (length - lengths[1])
    how = "measured" if options.full else "by the line"
    print(
        f"{length:.0f} s: museval {other:.0f} s ({how}), unweave {one:.1f} s, {other / one:.0f} x"
    )
    whole_track(*whole)


if __name__ == "__main__":
    main()
