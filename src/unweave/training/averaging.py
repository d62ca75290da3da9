"""The moving average of the weights, which validates and separates better than the last ones.

References:
    [Polyak1992] Acceleration of stochastic approximation by averaging, SIAM J. Control 30(4).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follow a network's weights, and its running statistics, by an exponential moving average.

    After n updates the average decays by min(decay, (1 + n) / (10 + n)): the random weights of the
    start are forgotten at once, whatever the decay.

    Args:
        network: Which is followed.
        decay: Share of the average that an update keeps, in the long run; 0 for no
            average at all.

    References:
        [Polyak1992]
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._network = network
        self._kept: list[Tensor] = []

    def _own(self) -> list[Tensor]:
        state = self._network.state_dict()
        return [value for value in state.values() if value.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        if self.decay == 0:
            return
        own = self._own()
        if not self._kept:
            self._kept = [value.detach().clone() for value in own]
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._kept, own, 1 - decay)
        self.updates += 1

    @torch.no_grad()
    def exchange(self) -> None:
        """Put the average into the network and keep its weights meanwhile, or the reverse."""
        for kept, own in zip(self._kept, self._own(), strict=bool(self._kept)):
            before = own.clone()
            own.copy_(kept)
            kept.copy_(before)

    @contextmanager
    def applied(self) -> Iterator[nn.Module]:
        """Put the average into the network for as long as this lasts.

        Yields:
            The network.
        """
        self.exchange()
        try:
            yield self._network
        finally:
            self.exchange()

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs.

        Returns:
            The average and the number of its updates.
        """
        return {"updates": self.updates, "kept": list(self._kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier run.

        Args:
            state: From `state_dict`.
        """
        self.updates = state["updates"]
        own = self._own()
        self._kept = [k.to(o.device, o.dtype) for k, o in zip(state["kept"], own, strict=False)]
