"""The training loop of the shipped separator: seeded, resumable, stopped by held-out songs."""

import copy
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unweave.models.bandmask import BandMasker, BandMaskNet
from unweave.training.recipe.corpus.index import read_index
from unweave.training.recipe.mixing import MixConfig, band_loss, draw_batch
from unweave.training.recipe.pool import Pool, PoolConfig
from unweave.training.recipe.validation import BandSong, rebalanced_stems


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a run.

    Attributes:
        steps: length of the schedule.
        seed: of weights, excerpts and mixtures.
        leave_out: names of tracks never trained on.
        learning_rate: peak of AdamW's rate: linear warm-up of 100 steps, then a cosine to 2 %.
        weight_decay: of AdamW.
        weight_power: tames loud cells in the loss; see `band_loss`.
        average: decay of the exponential moving average of the weights.
        validate_every: steps.
        network: arguments of `BandMaskNet`.
        voice: weights of a `VoiceUNet`, which stay as they are; None for a network without hints.
        start: best weights of another run to go on from, with hints or without.
        pool: sizes of the pool.
        mix: how mixtures are made.
    """

    steps: int = 4000
    seed: int = 0
    leave_out: tuple[str, ...] = ()
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    weight_power: float = 0.4
    average: float = 0.998
    validate_every: int = 200
    network: dict[str, Any] = field(default_factory=dict)
    voice: Path | None = None
    start: Path | None = None
    pool: PoolConfig = field(default_factory=PoolConfig)
    mix: MixConfig = field(default_factory=MixConfig)


def run(corpus: Path, validation: list[Path], output: Path, config: RunConfig) -> None:
    """Train, keeping the best averaged weights and everything needed to go on.

    Args:
        corpus: root of the corpus.
        validation: folders of held-out songs.
        output: receives last.pt, best.safetensors and log.jsonl.
        config: of the run.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    net = BandMaskNet(**config.network, voice=config.voice is not None).eval()
    if net.voice is not None and config.voice is not None:
        net.voice.load_state_dict(load_file(config.voice))
    if config.start is not None:
        begun, prefix = load_file(config.start), "members.0."
        begun = {k.removeprefix(prefix): v for k, v in begun.items() if k.startswith(prefix)}
        load_member(net.members[0], begun)
    averaged = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(
        net.members.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    state = _Progress(output)
    state.resume(net, averaged, optimiser)
    rng = np.random.default_rng([config.seed, state.step])
    pool = Pool(read_index(corpus, leave_out=config.leave_out), config.pool, rng)
    pool.fill()
    if state.step == 0 and config.start is None:
        _standardise(net, [draw_batch(pool, config.mix, net, rng).mixture for _ in range(12)])
        averaged.load_state_dict(net.state_dict())
    songs = {path.name: BandSong(rebalanced_stems(path), net) for path in validation}
    while state.step < config.steps:
        _rate(optimiser, state.step, config)
        loss = _step(net, optimiser, draw_batch(pool, config.mix, net, rng), config)
        _average(averaged, net, min(config.average, (state.step + 1) / (state.step + 20)))
        for kind in ("vocals", "drums", "bass", "other", "song"):
            if kind != "song" or state.step % 2 == 0:
                pool.refresh(kind, 1)
        if state.step % 20 == 0 and "accompaniment" in pool.store:
            pool.refresh("accompaniment", 1)
        state.advance(loss)
        if state.step % config.validate_every == 0 or state.step == config.steps:
            scores = {name: song.sdr(averaged) for name, song in songs.items()}
            state.report(scores, net, averaged, optimiser)


def load_member(member: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of a member; hints that it was trained without count nothing.

    Args:
        member: of a `BandMaskNet`.
        weights: its state dict, or that of a member that takes no hints.
    """
    name = "body.enter.weight"
    wider = torch.zeros_like(member.state_dict()[name])
    wider[:, : weights[name].shape[1]] = weights[name]
    member.load_state_dict({**weights, name: wider})


def _step(net: BandMaskNet, optimiser: Any, bands: Any, config: RunConfig) -> float:
    net.members.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masks = net.masks(bands.mixture, bands.hints)
    loss = band_loss(masks, bands, weight_power=config.weight_power)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(net.members.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _rate(optimiser: Any, step: int, config: RunConfig) -> None:
    cosine = 0.02 + 0.49 * (1 + math.cos(math.pi * step / config.steps))
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * min(1.0, (step + 1) / 100) * min(1.0, cosine)


def _average(averaged: BandMaskNet, net: BandMaskNet, decay: float) -> None:
    with torch.no_grad():
        pairs = zip(averaged.state_dict().values(), net.state_dict().values(), strict=True)
        for kept, new in pairs:
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def _standardise(net: BandMaskNet, energies: list[Tensor]) -> None:
    """Set the mean and scale of every band's log energy from a sample of mixtures."""
    for member in net.members:
        assert isinstance(member, BandMasker)
        logs = torch.cat([member.features(e) for e in energies])
        member.mean.copy_(logs.mean((0, 2))[:, None])
        member.scale.copy_(1 / logs.std((0, 2)).clamp(min=0.1)[:, None])


class _Progress:
    """Where a run stands, on disk.

    Args:
        output: the run's folder.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.step = 0
        self.best = -math.inf
        self.losses: list[float] = []
        self.started = time.monotonic()

    def resume(self, net: BandMaskNet, averaged: BandMaskNet, optimiser: Any) -> None:
        """Load the last checkpoint where there is one."""
        path = self.output / "last.pt"
        if path.exists():
            saved = torch.load(path, weights_only=True)
            net.load_state_dict(saved["net"])
            averaged.load_state_dict(saved["averaged"])
            optimiser.load_state_dict(saved["optimiser"])
            self.step, self.best = saved["step"], saved["best"]

    def advance(self, loss: float) -> None:
        """Count a step."""
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss is {loss} at step {self.step}")
        self.step += 1
        self.losses.append(loss)

    def report(
        self, scores: dict[str, dict[str, float]], net: BandMaskNet, averaged: Any, optimiser: Any
    ) -> None:
        """Log the scores, keep the best weights, save a checkpoint."""
        quality = float(np.mean([s for song in scores.values() for s in _counted(song)]))
        if quality > self.best:
            self.best = quality
            part = self.output / "best.part"
            tensors = {k: v.contiguous() for k, v in averaged.state_dict().items()}
            save_file(tensors, part, metadata={"step": str(self.step)})
            part.replace(self.output / "best.safetensors")
        row = {
            "step": self.step,
            "loss": round(float(np.mean(self.losses)), 4),
            "quality": round(quality, 3),
            "seconds": round(time.monotonic() - self.started),
            "sdr": {n: {k: round(v, 2) for k, v in s.items()} for n, s in scores.items()},
        }
        self.losses.clear()
        with (self.output / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        part = self.output / "last.part"
        saved = {"net": net.state_dict(), "averaged": averaged.state_dict()}
        saved |= {"optimiser": optimiser.state_dict(), "step": self.step, "best": self.best}
        torch.save(saved, part)
        part.replace(self.output / "last.pt")


def _counted(scores: dict[str, float]) -> list[float]:
    """Scores that decide which weights are best: bass is left out, songs often lack it."""
    return [scores[k] for k in ("vocals", "drums", "other", "accompaniment") if k in scores]
