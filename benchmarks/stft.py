"""Speed of the short-time Fourier transform beside torch's and librosa's, on the CPU.

Milliseconds are medians of process time in one thread, the methods taking turns, so that a busy
machine slows all of them alike; ratios above 1 mean that unweave is faster. Spectrograms of torch
and unweave keep the order in memory in which the transform makes them; "masked" is a spectrogram
in the order of its axes, as a network leaves it.

    python benchmarks/stft.py [--repeats 7] [--seconds 60]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import librosa
import torch

from unweave.transforms import istft, stft

RATE = 44_100
SETTINGS = [(4096, 1024), (2048, 512), (1024, 256), (512, 256)]


def compare(methods: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time the methods in turns; give the median of each in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(repeats + 1):
        for name, method in methods.items():
            start = time.process_time()
            method()
            if turn:  # the first turn builds windows and plans
                times[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def forward(x: torch.Tensor, n_fft: int, hop: int, repeats: int) -> dict[str, float]:
    window, array = torch.hann_window(n_fft), x.numpy()
    keys = {"n_fft": n_fft, "hop_length": hop}
    methods = {
        "unweave": lambda: stft(x, **keys),
        "torch": lambda: torch.stft(x, **keys, window=window, return_complex=True),
        "librosa": lambda: librosa.stft(array, **keys, pad_mode="reflect"),
    }
    return compare(methods, repeats)


def inverse(
    x: torch.Tensor, n_fft: int, hop: int, repeats: int, *, masked: bool
) -> dict[str, float]:
    window, spec = torch.hann_window(n_fft), stft(x, n_fft=n_fft, hop_length=hop)
    if masked:
        spec = spec.contiguous()
    array, length = spec.numpy(), x.shape[-1]
    methods = {
        "unweave": lambda: istft(spec, hop_length=hop, length=length),
        "torch": lambda: torch.istft(spec, n_fft, hop, window=window, length=length),
        "librosa": lambda: librosa.istft(array, hop_length=hop, length=length),
    }
    return compare(methods, repeats)


def show(label: str, times: dict[str, float]) -> None:
    ours = times["unweave"]
    cells = [f"{ours:9.1f}"]
    cells += [f"{times[peer]:9.1f} {times[peer] / ours:5.2f}x" for peer in ("torch", "librosa")]
    print(f"{label:<30}" + "".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.randn(2, round(options.seconds * RATE), generator=torch.Generator().manual_seed(0))
    print(
        f"{options.seconds:g} s of stereo at {RATE} Hz, ms, one thread, torch {torch.__version__}"
    )
    print(f"{'n_fft / hop':<30}{'unweave':>9}{'torch':>9}{'':>7}{'librosa':>9}")
    for n_fft, hop in SETTINGS:
        size = f"{n_fft} / {hop}"
        show(f"stft  {size}", forward(x, n_fft, hop, options.repeats))
        show(f"istft {size}", inverse(x, n_fft, hop, options.repeats, masked=False))
        show(f"istft {size} masked", inverse(x, n_fft, hop, options.repeats, masked=True))


if __name__ == "__main__":
    main()
