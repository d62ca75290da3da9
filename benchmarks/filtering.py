"""The multichannel Wiener filter beside norbert's and open-unmix's, and what it does for a song.

The true stems of the bundled song are the sources; their magnitudes, every channel's own, are the
models. All get the same numbers, in the order of axes each documents; complex64 unless told
otherwise. Milliseconds are medians of process time in one thread, the methods taking turns, so that
a busy machine slows all of them alike; "all" is wall time on all threads. Megabytes are the peak of
the process over its inputs, each method in a process of its own.

Results are written to the memory of the last one that is gone; "new memory" is what a first call or
one whose results are kept takes.

    python benchmarks/filtering.py [--repeats 5] [--seconds 10 30] [--only W] [--memory] [--quality]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

if __name__ == "__main__" and "--threads" not in sys.argv:
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from unweave import audio
from unweave._core.memory import _SPARE as memory_of_results
from unweave.evaluation import sdr
from unweave.filtering import (
    StreamingWiener,
    expectation_maximization,
    oracle_wiener,
    reduce_interferences,
    residual_model,
    smooth,
    softmask,
    wiener,
)
from unweave.transforms import istft, stft

SONG = Path(__file__).parents[1] / "examples" / "song"
STEMS = ("vocals", "drums", "bass", "other")
SIZES = {"n_fft": 4096, "hop_length": 1024}


class Problem:
    """One mixture with models of its sources, in the orders of all three."""

    def __init__(self, seconds: float, channels: int) -> None:
        stems = [audio.read(SONG / f"{name}.ogg")[0] for name in STEMS]
        length = min(stem.shape[-1] for stem in stems)
        self.stems = torch.stack([stem[:, :length] for stem in stems])
        if seconds:
            wanted = int(seconds * 44_100)
            repeats = -(-wanted // length)
            self.stems = self.stems.repeat(1, 1, repeats)[..., :wanted]
        if channels == 1:
            self.stems = self.stems.mean(1, keepdim=True)
        while self.stems.shape[1] < channels:  # the same sound from elsewhere, a little later
            later = self.stems[:, :2].roll(37 * self.stems.shape[1], -1)
            mixed = later * torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(1))
            self.stems = torch.cat([self.stems, mixed], 1)[:, :channels]
        self.sources = stft(self.stems, **SIZES)
        self.x = stft(self.stems.sum(0), **SIZES)
        self.v = self.sources.abs()
        # norbert: (frames, bins, channels, sources); open-unmix: the same, a complex axis last
        self.norbert_x = np.ascontiguousarray(self.x.permute(2, 1, 0).numpy())
        self.norbert_v = np.ascontiguousarray(self.v.permute(3, 2, 1, 0).numpy())
        self.umx_x = torch.view_as_real(torch.from_numpy(self.norbert_x)).clone()
        self.umx_v = torch.from_numpy(self.norbert_v)


def load_norbert() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports SciPy names that are about to go
        import norbert
    return norbert


def load_openunmix() -> ModuleType | None:
    """Load open-unmix's filter alone: the package imports torchaudio."""
    package = importlib.util.find_spec("openunmix")
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0]) / "filtering.py"
    spec = importlib.util.spec_from_file_location("openunmix_filtering", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def methods(p: Problem) -> dict[str, dict[str, Callable[[], object]]]:
    """Give what does each work: norbert, open-unmix and unweave."""
    norbert, umx = load_norbert(), load_openunmix()
    nx, nv = p.norbert_x, p.norbert_v
    # What norbert's users give, seen in the order of unweave's axes
    sx = torch.from_numpy(nx).permute(2, 1, 0)
    sv = torch.from_numpy(nv).permute(3, 2, 1, 0)
    ny = norbert.softmask(nv, nx)
    y = softmask(p.v, p.x)
    works = {
        "wiener, 1 iteration": {
            "norbert": lambda: norbert.wiener(nv, nx.copy(), 1),
            "open-unmix": lambda: umx.wiener(p.umx_v, p.umx_x, 1, softmask=True),
            "unweave": lambda: wiener(p.v, p.x),
            "unweave, new memory": lambda: (memory_of_results.clear(), wiener(p.v, p.x)),
            "unweave, norbert's axes": lambda: wiener(sv, sx),
            "unweave, torch": lambda: wiener(p.v, p.x, backend="torch"),
        },
        "wiener, phase start": {
            "norbert": lambda: norbert.wiener(nv, nx.copy(), 1, False),
            "open-unmix": lambda: umx.wiener(p.umx_v, p.umx_x.clone(), 1),
            "unweave": lambda: wiener(p.v, p.x, use_softmask=False),
        },
        "EM, 2 iterations": {
            "norbert": lambda: norbert.expectation_maximization(ny.copy(), nx, 2),
            "unweave": lambda: expectation_maximization(y, p.x),
        },
        "softmask": {
            "norbert": lambda: norbert.softmask(nv, nx),
            "unweave": lambda: softmask(p.v, p.x),
        },
        "residual_model": {
            "norbert": lambda: norbert.contrib.residual_model(nv, nx),
            "unweave": lambda: residual_model(p.v, p.x, autoscale=True),
        },
        "smooth, width 1": {
            "norbert": lambda: norbert.contrib.smooth(nv),
            "unweave": lambda: smooth(p.v),
        },
        "reduce_interferences": {
            "norbert": lambda: norbert.contrib.reduce_interferences(nv),
            "unweave": lambda: reduce_interferences(p.v),
        },
    }
    if umx is None or p.x.shape[0] > 2:
        for work in works.values():
            work.pop("open-unmix", None)
    return works


def compare(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time the methods in turns; give the median of each in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 1):
        for name, method in work.items():
            start = time.process_time()
            method()
            if turn:  # the first turn compiles
                times[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def speed(seconds: float, channels: int, repeats: int, only: str = "") -> None:
    p = Problem(seconds, channels)
    works = methods(p)
    if channels != 2:
        works = {name: works[name] for name in ("wiener, 1 iteration", "softmask")}
    works = {name: work for name, work in works.items() if name.startswith(only)}
    for name, work in works.items():
        medians = compare(work, repeats)
        reference = medians["norbert"]
        for method, value in medians.items():
            ratio = f"{reference / value:7.1f} x" if method != "norbert" else ""
            print(f"| {seconds:g} s | {channels} | {name} | {method} | {value:.1f} | {ratio} |")


def wall(seconds: float, repeats: int) -> None:
    """Print wall time of unweave on all threads, in a process that has them."""
    p = Problem(seconds, 2)
    times = []
    for turn in range(repeats + 1):
        start = time.perf_counter()
        wiener(p.v, p.x)
        if turn:
            times.append(1000 * (time.perf_counter() - start))
    threads = torch.get_num_threads()
    print(
        f"| {seconds:g} s | 2 | wiener, 1 iteration | unweave, {threads} threads, wall |"
        f" {statistics.median(times):.1f} | |"
    )


def memory(seconds: float, method: str) -> None:
    """Print the peak of this process over its inputs, in megabytes."""
    p = Problem(seconds, 2)
    small = Problem(0.5, 2)
    if method == "streaming":
        run_streaming(small)
    else:
        run = methods(small)["wiener, 1 iteration"][method]
        run()  # what is loaded once is no part of it
    work = None if method == "streaming" else methods_of_wiener(p, method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run_streaming(p) if work is None else work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out = p.v.numel() * 8 / 1e6
    print(f"| {seconds:g} s | {method} | {(peak - before) / 1e3:.0f} | {out:.0f} |")


def methods_of_wiener(p: Problem, method: str) -> Callable[[], object]:
    if method == "norbert":
        norbert, x = load_norbert(), p.norbert_x.copy()
        return lambda: norbert.wiener(p.norbert_v, x)
    if method == "open-unmix":
        umx = load_openunmix()
        return lambda: umx.wiener(p.umx_v, p.umx_x, 1, softmask=True)
    return lambda: wiener(p.v, p.x)


def run_streaming(p: Problem) -> None:
    stream = StreamingWiener(backend="compiled")
    pieces = [slice(at, at + 64) for at in range(0, p.x.shape[-1], 64)]
    for at in pieces:
        stream.accumulate(p.v[..., at], p.x[..., at])
    for at in pieces:
        stream.apply(p.v[..., at], p.x[..., at])


def quality() -> None:
    """Print SDR of the bundled song, separated with the magnitudes of its true stems."""
    p = Problem(0, 2)
    length = p.stems.shape[-1]
    kinds = {
        "mixture": lambda: p.x.expand(4, -1, -1, -1),
        "softmask": lambda: softmask(p.v, p.x),
        "softmask of powers": lambda: softmask(p.v.square(), p.x),
        "wiener, 1 iteration": lambda: wiener(p.v, p.x),
        "wiener, 2 iterations": lambda: wiener(p.v, p.x, n_iter=2),
        "wiener, 3 iterations": lambda: wiener(p.v, p.x, n_iter=3),
        "wiener, phase start": lambda: wiener(p.v, p.x, use_softmask=False),
        "wiener, phase start, 2": lambda: wiener(p.v, p.x, n_iter=2, use_softmask=False),
        "wiener, mono models": lambda: wiener(p.v.mean(1, keepdim=True), p.x),
        "softmask, mono models": lambda: softmask(p.v.mean(1, keepdim=True), p.x),
        "oracle_wiener": lambda: oracle_wiener(p.sources, p.x),
    }
    print("| SDR in dB | " + " | ".join(STEMS) + " | mean |")
    for name, kind in kinds.items():
        estimates = istft(kind(), hop_length=1024, length=length)
        values = sdr(estimates, p.stems).tolist()
        row = " | ".join(f"{value:.2f}" for value in [*values, sum(values) / 4])
        print(f"| {name} | {row} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 30])
    parser.add_argument("--channels", type=int, nargs="+", default=[2, 1, 4, 8])
    parser.add_argument("--only", default="", help="how the names of the works to time begin")
    parser.add_argument("--memory", action="store_true", help="peaks instead of times")
    parser.add_argument("--quality", action="store_true", help="SDR instead of times")
    parser.add_argument("--threads", action="store_true", help="wall time on all threads only")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak_of:
        memory(args.seconds[0], args.peak_of)
    elif args.memory:
        print("| length | method | MB over the inputs | MB of the output |")
        for seconds in args.seconds:
            for method in ("norbert", "open-unmix", "unweave", "streaming"):
                options = ["--peak-of", method, "--seconds", str(seconds)]
                subprocess.run([sys.executable, __file__, *options], check=True)
    elif args.quality:
        quality()
    elif args.threads:
        for seconds in args.seconds:
            wall(seconds, args.repeats)
    else:
        torch.set_num_threads(1)
        print("| length | channels | work | method | ms | faster than norbert |")
        for seconds in args.seconds:
            for channels in args.channels:
                if channels <= 2 or seconds <= 10:
                    speed(
                        seconds / (1 if channels <= 2 else channels),
                        channels,
                        args.repeats,
                        args.only,
                    )


if __name__ == "__main__":
    main()
