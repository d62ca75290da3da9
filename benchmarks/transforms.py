"""Speed of the spectrogram layers beside nnAudio, nnaudio2, librosa and plain torch, on the CPU.

S1 is a batch of 16 clips of 4 s at 22.05 kHz, S2 one song of 180 s at 44.1 kHz. One table is the
process time of one thread, the other wall time on all cores with threads that wait passively; both
are medians, the methods taking turns, so that a busy machine slows all of them alike. A number
after a peer is how many times as long it takes as unweave. librosa computes float32 in both.

    python benchmarks/transforms.py [--repeats 5] [--only cqt,mel] [--wall | --memory] [--slow]

`--slow` adds peers that need more than some seconds a run (Griffin-Lim, nnaudio2's iCQT).
Torchaudio cannot be imported beside a torch for the CPU alone; its formulas stand in for it.
"""

import argparse
import ctypes
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
if "--wall" not in sys.argv:
    os.environ["OMP_NUM_THREADS"] = "1"

import librosa
import torch

from unweave import transforms as T

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nnAudio.features as nn1
    import nnAudio2.features as nn2

Method = Callable[[], object]
N_FFT, HOP, BINS = 2048, 512, 84
STFT = {"n_fft": N_FFT, "hop_length": HOP}
SIZES = {"S1": (16, 4.0, 22_050), "S2": (1, 180.0, 44_100)}


def rows_of(size: str) -> dict[str, dict[str, Method]]:
    """Give the methods of every row of the table."""
    batch, seconds, rate = SIZES[size]
    x = torch.randn(batch, int(seconds * rate), generator=torch.Generator().manual_seed(0))
    rows = fourier_rows(x, rate) | constant_q_rows(x, rate, size)
    if size == "S1":
        rows |= trained_rows(x, rate)
    return rows


def fourier_rows(x: torch.Tensor, rate: int) -> dict[str, dict[str, Method]]:
    array, window = x.numpy(), torch.hann_window(N_FFT)
    quiet = {"sr": rate, "verbose": False, **STFT}
    peer = nn1.STFT(**quiet, output_format="Magnitude")
    mel, mfcc = nn1.MelSpectrogram(**quiet), nn1.MFCC(**quiet)
    log = nn1.STFT(**quiet, freq_scale="log", fmin=50, fmax=6000, output_format="Magnitude")
    inverse = nn1.iSTFT(**quiet)
    bank = T.mel_filter_bank(sample_rate=rate, n_fft=N_FFT, n_mels=128).float()
    spec = T.stft(x, **STFT)
    pairs = torch.view_as_real(spec)
    length = x.shape[-1]

    def torch_stft() -> torch.Tensor:
        return torch.stft(x, N_FFT, HOP, window=window, return_complex=True)

    def torch_mel() -> torch.Tensor:
        return bank @ torch_stft().abs().square()

    ours = T.MelSpectrogram(sample_rate=rate, n_mels=128, **STFT)
    ours_mfcc = T.MFCC(sample_rate=rate, n_mfcc=20, n_mels=128, **STFT)
    ours_log = T.STFT(
        **STFT, freq_scale="log", fmin=50, fmax=6000, sample_rate=rate, output="magnitude"
    )
    keys = {"sr": rate, **STFT}
    return {
        "STFT magnitude": {
            "unweave": lambda: T.stft(x, **STFT, output="magnitude"),
            "nnAudio": lambda: peer(x),
            "torch": lambda: torch_stft().abs(),
            "librosa": lambda: abs(librosa.stft(array, **STFT)),
        },
        "mel 128": {
            "unweave": lambda: ours(x),
            "nnAudio": lambda: mel(x),
            "torchaudio": torch_mel,
            "librosa": lambda: librosa.feature.melspectrogram(y=array, **keys),
        },
        "MFCC 20": {
            "unweave": lambda: ours_mfcc(x),
            "nnAudio": lambda: mfcc(x),
            "librosa": lambda: librosa.feature.mfcc(y=array, **keys),
        },
        "STFT 1025 log-spaced bins": {"unweave": lambda: ours_log(x), "nnAudio": lambda: log(x)},
        "inverse STFT": {
            "unweave": lambda: T.istft(spec, hop_length=HOP, length=length),
            "nnAudio": lambda: inverse(pairs, onesided=True, length=length),
            "torch": lambda: torch.istft(spec, N_FFT, HOP, window=window, length=length),
            "librosa": lambda: librosa.istft(spec.numpy(), hop_length=HOP, length=length),
        },
    }


def constant_q_rows(x: torch.Tensor, rate: int, size: str) -> dict[str, dict[str, Method]]:
    array = x.numpy()
    quiet = {"sr": rate, "hop_length": HOP, "n_bins": BINS, "verbose": False}
    keys = {"sample_rate": rate, "hop_length": HOP, "n_bins": BINS}
    direct, octaves = nn1.CQT1992v2(**quiet), nn1.CQT2010v2(**quiet)
    variable = nn1.VQT(**quiet, gamma=5)
    ours, ours_v = T.CQT(**keys, output="magnitude"), T.VQT(**keys, gamma=5, output="magnitude")
    frame = T.NSGT(sample_rate=rate)
    spec = frame(x)
    length = x.shape[-1]

    def librosa_cqt() -> object:
        return abs(librosa.cqt(array, sr=rate, hop_length=HOP, n_bins=BINS))

    return {
        "CQT 84 bins": {
            "unweave": lambda: ours(x),
            "nnAudio 1992v2": lambda: direct(x),
            "nnAudio 2010v2": lambda: octaves(x),
            "librosa": librosa_cqt,
        },
        "VQT 84 bins, gamma 5": {
            "unweave": lambda: ours_v(x),
            "nnAudio": lambda: variable(x),
            "librosa": lambda: abs(
                librosa.vqt(array, sr=rate, hop_length=HOP, n_bins=BINS, gamma=5)
            ),
        },
        "invertible constant-Q": {"unweave": lambda: frame(x), "librosa.cqt": librosa_cqt},
        "its inverse": {
            "unweave": lambda: frame.inverse(spec, length=length),
            "librosa.cqt": librosa_cqt,
        },
    }


def trained_rows(x: torch.Tensor, rate: int) -> dict[str, dict[str, Method]]:
    """Time forward and backward of layers whose basis or window is trained."""

    def both(layer: torch.nn.Module) -> Method:
        def step() -> None:
            layer.zero_grad()
            layer(x).sum().backward()

        return step

    peer = nn1.STFT(**STFT, sr=rate, trainable=True, output_format="Magnitude", verbose=False)
    basis = T.STFT(**STFT, trainable=True, output="magnitude")
    window = T.STFT(**STFT, trainable_window=True, output="magnitude")
    return {
        "trainable basis, forward + backward": {"unweave": both(basis), "nnAudio": both(peer)},
        "trainable window, forward + backward": {"unweave": both(window), "nnAudio": both(peer)},
    }


def slow_rows(size: str) -> dict[str, dict[str, Method]]:
    batch, seconds, rate = SIZES[size]
    x = torch.randn(batch, int(seconds * rate), generator=torch.Generator().manual_seed(0))
    magnitude = T.stft(x, **STFT, output="magnitude")
    array = magnitude.numpy()
    one = x[:1, : 4 * rate]
    ours, peer = T.CQT(sample_rate=rate), nn2.CQT1992v2(sr=rate, verbose=False)
    theirs = nn2.iCQT(sr=rate, verbose=False)
    spec, spec2 = ours(one), peer(one, output_format="Complex")
    return {
        "Griffin-Lim, 32 iterations": {
            "unweave": lambda: T.griffinlim(magnitude, hop_length=HOP, n_iter=32),
            "torchaudio": lambda: torchaudio_griffin_lim(magnitude),
            "librosa": lambda: librosa.griffinlim(array, hop_length=HOP, n_iter=32),
        },
        "icqt of 4 s, least squares": {
            "unweave": lambda: ours.inverse(spec, length=one.shape[-1]),
            "nnaudio2": lambda: theirs(spec2, length=one.shape[-1]),
        },
    }


def torchaudio_griffin_lim(magnitude: torch.Tensor) -> torch.Tensor:
    """Repeat the steps of torchaudio.functional.griffinlim with momentum 0.99."""
    window, momentum = torch.hann_window(N_FFT), 0.99 / 1.99
    angles = torch.rand(magnitude.shape, dtype=torch.complex64)
    previous: torch.Tensor | float = 0.0
    for _ in range(32):
        audio = torch.istft(magnitude * angles, N_FFT, HOP, window=window)
        rebuilt = torch.stft(audio, N_FFT, HOP, window=window, return_complex=True)
        angles = rebuilt - momentum * previous
        angles = angles / (angles.abs() + 1e-16)
        previous = rebuilt
    return torch.istft(magnitude * angles, N_FFT, HOP, window=window)


def constructors(rate: int = 22_050) -> dict[str, dict[str, Method]]:
    quiet = {"sr": rate, "verbose": False}
    return {
        "STFT": {"unweave": lambda: T.STFT(**STFT), "nnAudio": lambda: nn1.STFT(**quiet, **STFT)},
        "mel": {
            "unweave": lambda: T.MelSpectrogram(sample_rate=rate, **STFT),
            "nnAudio": lambda: nn1.MelSpectrogram(**quiet, **STFT),
        },
        "CQT": {
            "unweave": lambda: T.CQT(sample_rate=rate),
            "nnAudio 1992v2": lambda: nn1.CQT1992v2(**quiet),
            "nnAudio 2010v2": lambda: nn1.CQT2010v2(**quiet),
        },
    }


def compare(methods: dict[str, Method], repeats: int, clock: Callable[[], float]) -> str:
    """Time the methods in turns and tell the medians."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(repeats + 1):
        for name, method in methods.items():
            start = clock()
            method()
            if turn:  # the first turn builds windows and plans
                times[name].append(1000 * (clock() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians.pop("unweave")
    peers = [f"{name} {value / ours:.1f}x" for name, value in medians.items()]
    return f"{ours:8.1f} ms   " + ", ".join(peers)


def peaks(methods: dict[str, Method]) -> str:
    """Tell the megabytes that each method needs at most beyond what was there (Linux)."""
    found = []
    for name, method in methods.items():
        for _ in range(2):  # the first turn builds windows and plans
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            before = status("VmRSS")
            kept = method()
            found.append((name, status("VmHWM") - before))
            del kept
    return ", ".join(f"{name} {found[2 * i + 1][1]:.0f}" for i, name in enumerate(methods))


def status(word: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose name has one of these words")
    parser.add_argument("--wall", action="store_true", help="wall time on all cores")
    parser.add_argument("--slow", action="store_true", help="the slow peers too")
    parser.add_argument("--memory", action="store_true", help="peaks of memory instead of times")
    options = parser.parse_args()
    clock = time.perf_counter if options.wall else time.process_time
    threads = torch.get_num_threads()
    what = "wall" if options.wall else "process"
    print("peak memory" if options.memory else f"{what} time, {threads} thread(s), medians")
    tables = {size: rows_of(size) for size in SIZES} | {"construction, again": constructors()}
    if options.slow:
        tables["S1"] |= slow_rows("S1")
    for size, rows in tables.items():
        for name, methods in rows.items():
            if any(word in name for word in options.only.split(",")):
                if options.memory:
                    text = "MB: " + peaks(methods)
                else:
                    text = compare(methods, options.repeats, clock)
                print(f"{size + ' ':<4}{name:<38}{text}", flush=True)


if __name__ == "__main__":
    main()
