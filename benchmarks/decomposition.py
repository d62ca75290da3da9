"""Factorisations beside scikit-learn's and torchnmf's, on the CPU.

The material is the bundled song: 16 s at 22.05 kHz (2049 x 345 bins and frames), and the whole song
repeated at other speeds to three minutes at 44.1 kHz (2049 x 7752); float32. Methods start from the
same random factors and stop where they first are within 1 % of the worse of the two ends: that of
the peer after its most steps, and ours. (Ends are minima up to a few percent apart.) Of unweave's
steps those over some of the frames, with which long spectrograms begin, are not counted, but timed.
"A step" compares plain updates. Times are milliseconds of the process in one thread, the methods
taking turns; `--wall` gives wall time in all threads. Compiling, once per machine, is not counted.
Megabytes are the peak of a process over its inputs, each method in one of its own.

The tables separable, hpss, repet and matching compare with textbook forms in NumPy (SNPA by a fast
gradient method with sorted projections over all frames; XRAY by 500 sweeps of coordinate descent;
all pairs one by one) and with librosa, in milliseconds of the process in one thread. Ours compute
the activations for the sound, too.

    python benchmarks/decomposition.py [--only frobenius-long kl-long] [--wall] [--starts 3]
    python benchmarks/decomposition.py --memory
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin cost more than they bring
if "--wall" not in sys.argv:
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from unweave import audio
from unweave.decomposition import (
    hpss,
    match_components,
    nmf,
    repet_sim,
    separable_nmf,
)
from unweave.decomposition._starts import initial
from unweave.transforms import stft

SONG = Path(__file__).parents[1] / "examples" / "song" / "mixture.ogg"
SPEEDS = (1.0, 1.06, 0.94, 1.12, 0.89, 1.03, 0.97, 1.19)
Matrix = np.ndarray


class Start(NamedTuple):
    """Random factors, and the seed from which `nmf` draws the same."""

    W: Matrix
    H: Matrix
    seed: int = 0


Factors = tuple[Matrix, Matrix]


@cache
def spectrogram(size: str) -> Matrix:
    """Magnitudes of 16 s ("short") or three minutes ("long")."""
    sound, rate = audio.read(SONG)
    mono = sound.mean(0)
    if size == "short":
        mono = audio.resample(mono, rate, 22_050)[: 16 * 22_050]
    else:
        sizes = [int(len(mono) / speed) for speed in SPEEDS]
        parts = [
            torch.nn.functional.interpolate(mono[None, None], size=n, mode="linear") for n in sizes
        ]
        mono = torch.cat(parts, -1)[0, 0, : 180 * 44_100]
    return stft(mono, n_fft=4096, hop_length=1024).abs().contiguous().numpy()


def clock() -> float:
    return time.perf_counter() if "--wall" in sys.argv else time.process_time()


def random_start(V: Matrix, count: int, seed: int) -> Start:
    draw = torch.Generator().manual_seed(seed)
    W, H = initial(torch.from_numpy(V), count, "random", draw)
    return Start(W.numpy(), H.numpy(), seed)


def distance(V: Matrix, factors: Factors, beta: float) -> float:
    """The objective, evaluated alike for all methods, in blocks of frames."""
    W, H = factors
    total = 0.0
    for start in range(0, V.shape[1], 256):
        v = V[:, start : start + 256].astype("float64")
        y = W.astype("float64") @ H[:, start : start + 256] + 1e-12
        if beta == 2:
            total += 0.5 * float(np.square(v - y).sum())
        else:
            total += float((v * np.log(np.maximum(v, 1e-300) / y) - v + y).sum())
    return total


Method = Callable[[Matrix, Start, float, int], Factors]


def unweave(
    V: Matrix, start: Start, beta: float, steps: int, every: int = 10, solver: str = "auto"
) -> Factors:
    draw = torch.Generator().manual_seed(start.seed)
    options = {"n_iter": steps, "tol": 0, "check_every": every, "solver": solver}
    found = nmf(V, start.W.shape[1], beta=beta, init="random", generator=draw, **options)
    return found.W, found.H


def plain(V: Matrix, start: Start, beta: float, steps: int) -> Factors:
    """Textbook updates, without the objective, as the peers make them."""
    return unweave(V, start, beta, steps, every=1000, solver="hals" if beta == 2 else "mu")


def sklearn(V: Matrix, start: Start, beta: float, steps: int) -> Factors:
    """'cd' for squared errors, 'mu' for Kullback-Leibler."""
    from sklearn.decomposition import non_negative_factorization

    W, H = start.W.copy(), start.H.copy()
    kind = {"solver": "cd"} if beta == 2 else {"solver": "mu", "beta_loss": "kullback-leibler"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        W, H, _ = non_negative_factorization(
            V, W=W, H=H, n_components=W.shape[1], init="custom", tol=0, max_iter=steps, **kind
        )
    return W, H


def torchnmf(V: Matrix, start: Start, beta: float, steps: int) -> Factors:
    """Its module holds the transposes: V.T = H.T @ W.T."""
    from torchnmf.nmf import NMF

    model = NMF(W=torch.from_numpy(start.W.copy()), H=torch.from_numpy(start.H.T.copy()))
    model.fit(torch.from_numpy(V).T, beta=beta, tol=-1, max_iter=steps)
    return model.W.detach().numpy(), model.H.detach().numpy().T


def trace(method: Method, V: Matrix, start: Start, beta: float, most: int) -> list[float]:
    """The objective after one, two, ... chunks of five steps of a method without memory."""
    values, factors = [], start[:2]
    for _ in range(most // 5):
        factors = method(V, Start(*factors), beta, 5)
        values.append(distance(V, factors, beta))
    return values


def own_trace(V: Matrix, start: Start, beta: float, most: int) -> list[float]:
    draw = torch.Generator().manual_seed(start.seed)
    options = {"n_iter": most, "tol": 0, "check_every": 1}
    found = nmf(V, start.W.shape[1], beta=beta, init="random", generator=draw, **options)
    return [float(value) for value in found.objective[1:]]


def steps_to(values: list[float], level: float, chunk: int = 1) -> int:
    return chunk * (1 + next(i for i, value in enumerate(values) if value <= level))


def milliseconds(runs: dict[Any, Callable[[], object]], repeats: int) -> dict[Any, float]:
    """Time methods in turns; give medians."""
    times: dict[Any, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            before = clock()
            run()
            times[name].append(1000 * (clock() - before))
    return {name: statistics.median(values) for name, values in times.items()}


@dataclass(frozen=True)
class Race:
    """One factorisation: which material, how many components, and the peer's most steps."""

    size: str
    count: int
    beta: float
    most: int
    repeats: int

    def run(self, starts: int) -> None:
        V = spectrogram(self.size)
        unweave(V, random_start(V, self.count, 0), self.beta, 2)  # compiles
        totals = [self.one(V, random_start(V, self.count, seed)) for seed in range(starts)]
        if starts > 1:
            theirs, ours = (sum(total[name] for total in totals) for name in ("sklearn", "unweave"))
            cells = f"{ours:.0f} | {theirs / ours:.1f} x"
            print(f"| {self.title}, all {starts} starts | unweave | | {cells} | |")

    def one(self, V: Matrix, start: Start) -> dict[str, float]:
        theirs = trace(sklearn, V, start, self.beta, self.most)
        ours = own_trace(V, start, self.beta, self.most)
        level = 1.01 * max(theirs[-1], ours[-1])
        steps = {"sklearn": steps_to(theirs, level, 5), "unweave": steps_to(ours, level)}
        methods: dict[str, Method] = {"sklearn": sklearn, "unweave": unweave}
        runs = {
            name: (lambda name=name: methods[name](V, start, self.beta, steps[name]))
            for name in methods
        }
        total = milliseconds(runs, self.repeats)
        worst = max(theirs[-1], ours[-1])
        ends = {"sklearn": theirs[-1] / worst, "unweave": ours[-1] / worst}
        for name, value in total.items():
            cells = f"{steps[name]} | {value:.0f} | {total['sklearn'] / value:.1f} x"
            print(f"| {self.title} | {name} | {cells} | {ends[name]:.4f} |", flush=True)
        return total

    def step(self) -> None:
        """Compare single steps: the time of many, less that of some."""
        V = spectrogram(self.size)
        start = random_start(V, self.count, 0)
        methods = {"unweave": plain, "sklearn": sklearn, "torchnmf": torchnmf}
        steps = {"unweave": (10, 40), "sklearn": (10, 40), "torchnmf": (2, 7)}
        runs = {
            (name, n): (lambda method=method, n=n: method(V, start, self.beta, n))
            for name, method in methods.items()
            for n in steps[name]
        }
        times = milliseconds(runs, self.repeats + 2)
        each = {
            name: (times[name, more] - times[name, some]) / (more - some)
            for name, (some, more) in steps.items()
        }
        for name, value in each.items():
            ratio = f"{value / each['unweave']:.1f} x"
            print(f"| {self.title} | {name}, a step | 1 | {value:.2f} | {ratio} | |", flush=True)

    @property
    def title(self) -> str:
        frames = spectrogram(self.size).shape[1]
        return f"2049 x {frames}, r {self.count}, beta {self.beta:g}"


RACES = {
    "frobenius-short": Race("short", 7, 2, 400, 5),
    "frobenius-long": Race("long", 20, 2, 100, 1),
    "kl-short": Race("short", 7, 1, 200, 3),
    "kl-long": Race("long", 20, 1, 100, 1),
}


def race(name: str) -> Callable[[argparse.Namespace], None]:
    def run(args: argparse.Namespace) -> None:
        print("| work | method | steps | ms | faster | end, relative |")
        if not args.steps:
            RACES[name].run(args.starts)
        RACES[name].step()

    return run


def project(Y: Matrix) -> Matrix:
    """Columns projected on the simplex with the origin, by sorting."""
    Y = np.maximum(Y, 0)
    over = Y.sum(0) > 1
    down = -np.sort(-Y[:, over], axis=0)
    sums = (down.cumsum(0) - 1) / np.arange(1, len(Y) + 1)[:, None]
    last = (down > sums).sum(0) - 1
    Y[:, over] = np.maximum(Y[:, over] - sums[last, np.arange(down.shape[1])], 0)
    return Y


def hull_weights(A: Matrix, B: Matrix, H: Matrix) -> Matrix:
    """Textbook fast gradient steps with restarts, at most 100."""
    steepest, alpha, Y, first, objective = np.linalg.norm(A, 2), 0.05, H, None, np.inf
    for _ in range(100):
        new = project(Y - (A @ Y - B) / steepest)
        after = (np.sqrt(alpha**4 + 4 * alpha**2) - alpha**2) / 2
        value = float((new * (A @ new - 2 * B)).sum())
        moved = np.linalg.norm(new - H)
        rises = value > objective
        Y = new if rises else new + alpha * (1 - alpha) / (alpha**2 + after) * (new - H)
        H, alpha, objective, first = new, after, value, moved if first is None else first
        if moved < 1e-6 * first:
            break
    return H


def cone_weights(A: Matrix, B: Matrix, H: Matrix) -> Matrix:
    """Textbook cyclic coordinate descent, at most 500 sweeps."""
    H, first = H.copy(), None
    for _ in range(500):
        moved = 0.0
        for k in range(len(A)):
            row = np.maximum(H[k] + (B[k] - A[k] @ H) / A[k, k], 0)
            moved += float(((row - H[k]) ** 2).sum())
            H[k] = row
        first = moved if first is None else first
        if moved < 1e-12 * first:
            break
    return H


def textbook_separable(V: Matrix, count: int, method: str) -> list[int]:
    """SNPA, or XRAY by the largest residual; frames of sum one, none of them silent."""
    V = V.astype("float64")
    energy = np.square(V).sum(0)
    V = V / np.where(energy > 1e-6 * energy.max(), V.sum(0), np.inf)
    energy = np.square(V).sum(0)
    left, chosen, B, H = energy, [], np.zeros((0, V.shape[1])), np.zeros((0, V.shape[1]))
    for _ in range(count):
        k = int(left.argmax())
        if method == "xray":
            k = int((V[:, k] @ V - H[:, k] @ B).argmax())
        chosen.append(k)
        B = np.vstack([B, V[:, k] @ V])
        H[:, k] = 0
        H = np.vstack([H, np.eye(1, V.shape[1], k)])
        A = B[:, chosen]
        H = (hull_weights if method == "snpa" else cone_weights)(A, B, H)
        left = energy - 2 * (H * B).sum(0) + (H * (A @ H)).sum(0)
        left[chosen] = 0
    return chosen


def separable(_: argparse.Namespace) -> None:
    """Frames chosen from three minutes; how many of them both forms choose, and the error left."""
    V = spectrogram("long")
    separable_nmf(V[:, :50], 3)  # compiles
    print("| work | method | ms | faster | frames in common | relative error |")
    for count in (7, 50):
        for method in ("spa", "snpa", "xray"):
            runs = {"unweave": lambda m=method, r=count: separable_nmf(V, r, method=m)}
            if method != "spa":
                runs["textbook"] = lambda m=method, r=count: textbook_separable(V, r, m)
            times = milliseconds(runs, 1 if count > 7 else 3)
            found = runs["unweave"]()
            error = np.linalg.norm(V - found.W @ found.H) / np.linalg.norm(V)
            common = ""
            if method != "spa":
                common = len(set(found.indices.tolist()) & set(runs["textbook"]()))
            for name, value in times.items():
                ratio = (
                    f"{times['textbook'] / value:.1f} x" if name != "textbook" and common else ""
                )
                print(
                    f"| {method}, {V.shape[0]} x {V.shape[1]}, r {count} | {name} | {value:.0f} |"
                    f" {ratio} | {common} | {error:.4f} |",
                    flush=True,
                )


def versus(title: str, runs: dict[Any, Callable[[], object]], repeats: int = 3) -> None:
    """Print the times of some methods, and how much faster each is than the first."""
    for run in runs.values():
        run()
    times = milliseconds(runs, repeats)
    slowest = next(iter(times.values()))
    for name, value in times.items():
        print(f"| {title} | {name} | {value:.0f} | {slowest / value:.1f} x |", flush=True)


def medians(_: argparse.Namespace) -> None:
    import librosa

    sound, _rate = audio.read(SONG)
    S = np.ascontiguousarray(stft(sound.mean(0)).numpy())
    print("| work | method | ms | faster |")
    for margin in (1.0, 3.0):
        runs = {
            "librosa": lambda m=margin: librosa.decompose.hpss(S, margin=m),
            "unweave": lambda m=margin: hpss(S, margin=m),
        }
        versus(f"hpss, {S.shape[0]} x {S.shape[1]}, margin {margin:g}", runs)


def repetition(_: argparse.Namespace) -> None:
    import librosa

    sound, _rate = audio.read(SONG)
    S = np.ascontiguousarray(stft(sound.mean(0)).abs().numpy())[:, :1500]

    def by_librosa() -> Matrix:
        filtered = librosa.decompose.nn_filter(
            S, aggregate=np.median, metric="cosine", width=172, mode="distance"
        )
        filtered = np.minimum(S, filtered)
        return S * librosa.util.softmask(filtered, S - filtered, power=2)

    runs = {"librosa": by_librosa, "unweave": lambda: repet_sim(S, min_distance=172)}
    print("| work | method | ms | faster |")
    versus(f"repet_sim, {S.shape[0]} x {S.shape[1]}", runs, repeats=1)


def matching(_: argparse.Namespace) -> None:
    draw = torch.Generator().manual_seed(0)
    references = torch.randn(7, 1, 16 * 22_050, generator=draw)
    estimates = references.flip(0) + torch.randn(references.shape, generator=draw)

    def one_by_one() -> Matrix:
        table = np.empty((7, 7))
        for i, s in enumerate(references.double().numpy()):
            for j, e in enumerate(estimates.double().numpy()):
                target = (e * s).sum() / (s * s).sum() * s
                table[i, j] = 10 * np.log10((target**2).sum() / ((target - e) ** 2).sum())
        return table

    print("| work | method | ms | faster |")
    runs = {"NumPy": one_by_one, "unweave": lambda: match_components(references, estimates)}
    versus("7 x 7 components of 16 s at 22.05 kHz", runs, repeats=9)


# What `--only` chooses from: each prints a table of its own.
TABLES: dict[str, Callable[[argparse.Namespace], None]] = {name: race(name) for name in RACES}
TABLES |= {"separable": separable, "hpss": medians, "repet": repetition, "matching": matching}

METHODS: dict[str, Method] = {"unweave": unweave, "sklearn": sklearn, "torchnmf": torchnmf}


def high_water() -> float:
    """Give the most memory this process ever had, in MiB; getrusage counts its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak(method: str, beta: float, path: str) -> None:
    """Print the peak of this process over its inputs, which making them must not hide."""
    V = np.load(path)
    METHODS[method](V[:, :160].copy(), random_start(V[:, :160], 7, 0), beta, 2)
    start = random_start(V, 20, 0)
    before = high_water()
    METHODS[method](V, start, beta, 11)
    more = high_water() - before
    print(f"| {beta:g} | {method} | {more:.0f} | {V.nbytes / 2**20:.0f} |", flush=True)


def peaks() -> None:
    print("| beta | method | MiB over the inputs | MiB of the spectrogram |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/long.npy"
        np.save(path, spectrogram("long"))
        for beta in ("2", "1"):
            for method in METHODS:
                options = ["--peak-of", method, beta, path]
                subprocess.run([sys.executable, __file__, *options], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(TABLES), default=list(TABLES))
    parser.add_argument("--starts", type=int, default=1, help="random starts of each race")
    parser.add_argument("--steps", action="store_true", help="single steps only")
    parser.add_argument("--wall", action="store_true", help="wall time in all threads")
    parser.add_argument("--memory", action="store_true", help="peaks instead of times")
    parser.add_argument("--peak-of", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak_of:
        peak(args.peak_of[0], float(args.peak_of[1]), args.peak_of[2])
    elif args.memory:
        peaks()
    else:
        for name in args.only:
            TABLES[name](args)


if __name__ == "__main__":
    main()
