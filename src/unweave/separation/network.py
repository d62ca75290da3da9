"""Runs a network on mixtures of any number of channels, on its device."""

from collections.abc import Callable

import torch
from torch import Tensor

from unweave.errors import Cancelled, ParameterError, UnweaveError
from unweave.models import SeparationNetwork

Cancel = Callable[[], bool]
"""Asked between segments; True stops the separation. An event's `is_set` will do."""


class NetworkRunner:
    """Give a network batches that fit it.

    Channels go through in groups of as many as the network has; the last channel is repeated to
    fill up the last group, and what the network makes of its copies is averaged.

    Args:
        network: in evaluation mode and on `device` already.
        device: where it runs; mixtures and stems are on the CPU.
        batch_size: groups that are run at once.

    Shape:
        `__call__`: (batch, channels, time) -> (batch, sources, channels, time)
    """

    def __init__(self, network: SeparationNetwork, device: torch.device, batch_size: int) -> None:
        self._network = network
        self._device = device
        self._batch_size = batch_size

    def __call__(self, mixture: Tensor, *, cancel: Cancel | None = None) -> Tensor:
        """Separate a batch.

        Args:
            mixture: float32 on the CPU.
            cancel: asked before every run of the network; True stops.

        Returns:
            The stems, float32 on the CPU.

        Raises:
            Cancelled: `cancel` said so.
            ParameterError: the network's answer has a wrong shape.
            UnweaveError: the device has too little memory.
        """
        wanted = self._network.channels
        batch, channels, time = mixture.shape
        groups = -(-channels // wanted)
        filled = groups * wanted
        if filled != channels:
            mixture = mixture[:, torch.arange(filled).clamp(max=channels - 1)]
        inputs = mixture.reshape(batch * groups, wanted, time)
        parts = [self._run(part, cancel) for part in torch.split(inputs, self._batch_size)]
        stems = parts[0] if len(parts) == 1 else torch.cat(parts)
        stems = stems.reshape(batch, groups, -1, wanted, time).transpose(1, 2).flatten(2, 3)
        if filled != channels:
            last = stems[:, :, channels - 1 :].mean(2, keepdim=True)
            stems = torch.cat([stems[:, :, : channels - 1], last], dim=2)
        return stems

    def _run(self, inputs: Tensor, cancel: Cancel | None) -> Tensor:
        if cancel is not None and cancel():
            raise Cancelled("the separation was cancelled")
        try:
            with torch.inference_mode():
                stems = self._network(inputs.to(self._device)).to("cpu", torch.float32)
        except RuntimeError as error:
            if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
                raise
            seconds = inputs.shape[-1] / self._network.sample_rate
            raise UnweaveError(
                f"{self._device} has too little memory for {len(inputs)} x {seconds:.1f} s at once:"
                f" use a smaller batch_size or segment={seconds / 2:.2g} (--segment)"
            ) from error
        expected = (len(inputs), len(self._network.sources), *inputs.shape[1:])
        if stems.shape != expected:
            raise ParameterError(
                f"the network answered {tuple(inputs.shape)} with {tuple(stems.shape)}:"
                f" {expected} is expected"
            )
        return stems
