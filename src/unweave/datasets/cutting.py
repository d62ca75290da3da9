"""Cuts excerpts out of decoded signals, with as few passes over memory as there can be."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from unweave.datasets.pcm import Decoded


class Cutter:
    """Hold the memory maps of decoded signals; each process has its own.

    Args:
        channels: Of all signals.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._maps: dict[Path, Tensor] = {}

    def __getstate__(self) -> dict[str, object]:
        # other processes map for themselves
        return {"channels": self.channels, "_maps": {}}

    def stack(
        self, signals: Sequence[Decoded | None], starts: Sequence[int], length: int
    ) -> Tensor:
        """Cut one excerpt out of each signal.

        Args:
            signals: The signals; None is silence.
            starts: First sample of each.
            length: Samples; what goes beyond the end of a signal is silence.

        Returns:
            float32 of its own memory.

        Shape:
            (signals, channels, length)
        """
        stack = torch.empty(len(signals), self.channels, length)
        for out, signal, start in zip(stack, signals, starts, strict=True):
            self._fill(out, signal, start)
        return stack

    def mix(
        self, signals: Sequence[Decoded | None], starts: Sequence[int], length: int, keep: int
    ) -> tuple[Tensor, Tensor]:
        """Cut an excerpt out of each signal, sum all, and keep the first.

        Args:
            signals: The signals; None is silence.
            starts: First sample of each.
            length: Samples; what goes beyond the end of a signal is silence.
            keep: How many are wanted by themselves.

        Returns:
            The sum and the first `keep` excerpts.

        Shape:
            (channels, length) and (keep, channels, length)
        """
        both = torch.empty(1 + keep, self.channels, length)
        mixture, kept = both[0], both[1:]
        for out, signal, start in zip(kept, signals, starts, strict=False):
            self._fill(out, signal, start)
        torch.sum(kept, 0, out=mixture)
        for signal, start in zip(signals[keep:], starts[keep:], strict=True):
            if signal is not None:
                cut = self._samples(signal)[:, start : start + length]
                mixture[:, : cut.shape[1]].add_(cut, alpha=signal.scale)
        return mixture, kept

    def _fill(self, out: Tensor, signal: Decoded | None, start: int) -> None:
        if signal is None:
            out.zero_()
            return
        cut = self._samples(signal)[:, start : start + out.shape[1]]
        inner = out[:, : cut.shape[1]]
        inner.copy_(cut).mul_(signal.scale)
        if inner.shape[1] < out.shape[1]:
            out[:, inner.shape[1] :].zero_()

    def _samples(self, signal: Decoded) -> Tensor:
        samples = self._maps.get(signal.path)
        if samples is None:
            samples = self._maps[signal.path] = torch.from_numpy(signal.open())
        return samples
