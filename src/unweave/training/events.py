"""What a training tells of itself while it runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """What a training tells of itself.

    Attributes:
        event: "decode" before the first epoch, "step" now and then, "epoch" when one is done,
            "checkpoint" when its state is kept, unless `silent_checkpoint` is set.
        epoch: Its number, from 1.
        epochs: Number of the last epoch that this run is to make.
        step: Batches done in this epoch, or signals decoded.
        steps: Batches of an epoch, or signals in all.
        loss: Mean of the epoch, or that of the batch before the last for a step.
        val_loss: Loss of the validation.
        val_si_sdr: Mean SI-SDR of the validation's targets, dB.
        lr: Learning rate of the next update.
        seconds: Since the run or the epoch began.
        best: Whether the validation was the best so far.
        path: Where the state is kept.
    """

    event: str
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float = math.nan
    val_loss: float = math.nan
    val_si_sdr: float = math.nan
    lr: float = math.nan
    seconds: float = 0.0
    best: bool = False
    path: str = ""


Listener = Callable[[Event], object]
