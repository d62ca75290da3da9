"""Speed of training beside Open-Unmix, and whether the loader keeps up, on the CPU.

A step is forward, loss, backward and AdamW of the network of one target, on the same batch of
spectrograms with the same weights at first, `unweave.models.OpenUnmix` and `openunmix.model`
taking turns. Milliseconds are medians of process time in one thread, so that a busy machine slows
both alike; ratios above 1 mean that unweave is faster.

The loader is timed in a training of a small network by `unweave.training.train`, on the bundled
song: the share of the time in which no batch was ready, and the rate of excerpts in the workers.

    python benchmarks/training.py [--repeats 15] [--batch 4] [--seconds 6] [--no-loader]
"""

import argparse
import importlib
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import nn
from torch.nn.functional import mse_loss

from unweave.models import OpenUnmix

SONG = Path(__file__).parents[1] / "examples" / "song"
BINS, MAX_BIN, HOP, RATE = 2049, 1487, 1024, 44_100


def load_openunmix() -> type[nn.Module] | None:
    """Load open-unmix's network alone: its package imports torchaudio."""
    found = importlib.util.find_spec("openunmix")
    if found is None or not found.submodule_search_locations:
        return None
    package = ModuleType("openunmix_network")
    package.__path__ = list(found.submodule_search_locations)
    transforms = ModuleType("openunmix_network.transforms")
    transforms.make_filterbanks = transforms.ComplexNorm = None  # of its separator, not used here
    sys.modules |= {package.__name__: package, transforms.__name__: transforms}
    return importlib.import_module("openunmix_network.model").OpenUnmix


class Trainee:
    """A network and its optimiser."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.train()
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimiser.zero_grad()
        loss = mse_loss(self.network(x), y)
        loss.backward()
        self.optimiser.step()
        return loss.item()


def steps(batch: int, seconds: float, repeats: int, hidden: int) -> None:
    torch.manual_seed(0)
    ours = OpenUnmix(BINS, 2, hidden, max_bin=MAX_BIN)
    trainees = {"unweave": Trainee(ours)}
    if peer := load_openunmix():
        theirs = peer(nb_bins=BINS, nb_channels=2, hidden_size=hidden, max_bin=MAX_BIN)
        theirs.load_state_dict(ours.state_dict())
        trainees["open-unmix"] = Trainee(theirs)
    frames = round(seconds * RATE) // HOP + 1
    x = torch.rand(batch, 2, BINS, frames)
    y = x * torch.rand_like(x)
    times: dict[str, list[float]] = {name: [] for name in trainees}
    names = list(trainees)
    for turn in range(repeats + 1):
        for name in names if turn % 2 else reversed(names):
            begin = time.process_time()
            trainees[name].step(x, y)
            if turn:  # the first turn makes the state of the optimiser
                times[name].append(1000 * (time.process_time() - begin))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        ratio = f"{value / medians['unweave']:.2f} x" if name != "unweave" else ""
        work = f"step, batch {batch} x {seconds:g} s, hidden {hidden}"
        print(f"| {work} | {name} | {value:.0f} | {ratio} |", flush=True)


def loader(workers: int) -> None:
    """Train on the bundled song and tell how long the network waited for batches."""
    from unweave.training import Config, ModelFolder, train
    from unweave.training.data import Data

    with tempfile.TemporaryDirectory() as scratch:
        music = Path(scratch) / "music" / "song"
        music.mkdir(parents=True)
        for stem in ("vocals", "drums", "bass", "other"):
            (music / f"{stem}.ogg").symlink_to(SONG / f"{stem}.ogg")
        config = Config.template(
            "OpenUnmix",
            hidden_size=64,
            dataset_path=str(music.parent),
            cache_dir=f"{scratch}/cache",
            validation_split=0,
            max_num_samples=128,
            batch_size=8,
            num_workers=workers,
            max_epochs=2,
            accelerator="cpu",
        )
        folder = ModelFolder.create(Path(scratch) / "model", config)
        data = Data(config)
        begin = time.process_time()
        for index in range(100):
            data.train.excerpt(index)
        rate = 100 / (time.process_time() - begin)
        result = train(folder.path, evaluate=False)
    print(
        f"| loader, {workers} workers | unweave | {100 * result.waited:.1f} % of the time waited"
        f" | {rate:.0f} excerpts of 3 s in a CPU second |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--no-loader", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| work | by | ms | unweave is faster |\n|---|---|---|---|")
    for hidden in (512, 256):
        steps(options.batch, options.seconds, options.repeats, hidden)
    if not options.no_loader:
        for workers in (0, 1):
            loader(workers)


if __name__ == "__main__":
    main()
