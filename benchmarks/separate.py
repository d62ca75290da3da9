"""Speed and memory of a separation, from the file to four stems on the disk.

Long songs are made by looping the bundled one. Times are medians; memory and the time to the first
stem are those of a process of their own, started as a user would start it.

    python benchmarks/separate.py [--repeats 5] [--minutes 3] [--long 60] [--threads N]
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

SONG = Path(__file__).parents[1] / "examples" / "song" / "mixture.ogg"
COMMAND = (sys.executable, "-c", "from unweave.cli import main; main()")


def median(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def loop_song(path: Path, minutes: float) -> None:
    """Write a song of this length, in 16 bits."""
    from unweave import audio

    samples, rate = audio.read(SONG)
    left = round(minutes * 60 * rate)
    with audio.AudioWriter(
        path, sample_rate=rate, channels=samples.shape[0], subtype="PCM_16"
    ) as writer:
        for block in cycle(samples.split(rate, dim=-1)):
            writer.write(block[:, :left])
            left -= min(left, block.shape[-1])
            if not left:
                return


def command_time(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def process(song: Path, output: Path) -> tuple[float, float, float]:
    """Return seconds to the first stem, seconds in all and the peak memory in MB."""
    arguments = ["separate", str(song), "--output", str(output), "--progress", "none", "-q"]
    began = time.perf_counter()
    child = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    first = None
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if first is None and any(output.glob(f"{song.stem}/*.wav")):
            first = time.perf_counter() - began
        if pid:
            break
        time.sleep(0.02)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode or first is None:
        sys.exit(f"unweave separate failed with exit code {child.returncode}")
    scale = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, kibibytes elsewhere
    return first, time.perf_counter() - began, usage.ru_maxrss / scale


def end_to_end(song: Path, output: Path) -> float:
    """Return how many times faster than real time a file becomes four files."""
    from unweave.separation import OutputOptions, Separator, separate_files

    separator = Separator("bandmask", device="cpu")
    options = OutputOptions(existing="overwrite")
    [result] = separate_files([song], output, separator=separator, options=options)
    if result.error is not None:
        raise result.error
    return result.speed


def network_and_rest(song: Path) -> tuple[float, float]:
    """Return the seconds that the network takes, and those of everything between arrays."""
    import torch
    from torch import Tensor, nn

    from unweave import audio
    from unweave.models import load_model
    from unweave.separation import Separator

    class Timed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = load_model("bandmask")
            self.seconds = 0.0
            for name in ("sample_rate", "sources", "channels", "segment", "hop_length"):
                setattr(self, name, getattr(self.inner, name))

        def forward(self, mixture: Tensor) -> Tensor:
            began = time.perf_counter()
            stems: Tensor = self.inner(mixture)
            self.seconds += time.perf_counter() - began
            return stems

    samples, rate = audio.read(song)
    network = Timed()
    separator = Separator(network, device="cpu")
    began = time.perf_counter()
    for _ in separator.stream(torch.split(samples, 1 << 16, dim=-1), rate, samples.shape[0]):
        pass
    whole = time.perf_counter() - began
    return network.seconds, whole - network.seconds


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs that a median is taken over")
    parser.add_argument("--minutes", type=float, default=3, help="length of the usual song")
    parser.add_argument("--long", type=float, default=60, help="length of the long one; 0: none")
    parser.add_argument("--threads", type=int, help="processor threads (all)")
    return parser.parse_args()


def main() -> None:
    options = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import torch

    threads = torch.get_num_threads()
    print(f"{platform.machine()}, {threads} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        song, long = Path(folder, "song.wav"), Path(folder, "long.wav")
        loop_song(song, options.minutes)
        shown = f"{options.minutes:g} min"

        speed = median(options.repeats, lambda: end_to_end(song, Path(folder, "out")))
        print(f"decode, separate, write 4 stems, {shown:<12} {speed:8.1f} x real time")
        runs = [network_and_rest(song) for _ in range(options.repeats)]
        network, rest = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"network alone, {shown:<29} {options.minutes * 60 / network:8.1f} x real time")
        print(f"engine besides the network, {shown:<16} {rest:8.3f} s, {rest / network:.1%} of it")
        seconds = median(options.repeats, lambda: command_time("--help"))
        print(f"unweave --help {'':<29} {seconds:8.3f} s")

        first, whole, memory = process(song, Path(folder, "first"))
        print(f"command to first stem, {shown:<21} {first:8.1f} s (all: {whole:.1f} s)")
        print(f"peak memory, {shown:<31} {memory:8.0f} MB")
        if options.long:
            loop_song(long, options.long)
            _, whole, hour = process(long, Path(folder, "second"))
            shown = f"{options.long:g} min"
            print(f"peak memory, {shown:<31} {hour:8.0f} MB ({hour / memory - 1:+.1%})")
            print(f"command, {shown:<35} {options.long * 60 / whole:8.1f} x real time")


if __name__ == "__main__":
    main()
