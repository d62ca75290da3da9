"""Who updates the weights, at which rate, in which precision, and when to stop."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import nn

from unweave.training.config import Config
from unweave.training.config_groups import TrainingParams

Precision = Literal["32", "bf16", "fp16"]
_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


def build_optimizer(network: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Build the optimiser of a configuration.

    Args:
        network: Whose weights it updates.
        config: `optimizer`, `lr`, `lr_lstm`, `weight_decay` and `momentum` are taken from it.

    Returns:
        The optimiser: one group of parameters, or a second one for recurrent layers with
        `lr_lstm`. Biases and normalisations are not decayed.

    Example:
        >>> config = Config.template("OpenUnmix", hidden_size=8, lr=0.01, lr_lstm=0.001)
        >>> optimizer = build_optimizer(nn.LSTM(3, 4), config)
        >>> sorted({group["lr"] for group in optimizer.param_groups})
        [0.001]
    """
    training = config.training_params
    groups = list(_groups(network, training))
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
        "rmsprop": torch.optim.RMSprop,
        "sgd": torch.optim.SGD,
    }
    more: dict[str, Any] = {}
    if training.optimizer in ("rmsprop", "sgd"):
        more["momentum"] = training.momentum
    return kinds[training.optimizer](groups, lr=training.lr, **more)


def _groups(network: nn.Module, training: TrainingParams) -> Iterator[dict[str, Any]]:
    recurrent = {
        id(p) for m in network.modules() if isinstance(m, _RECURRENT) for p in m.parameters()
    }
    made: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        own = training.lr_lstm is not None and id(parameter) in recurrent
        lr = training.lr_lstm if own and training.lr_lstm is not None else training.lr
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        made.setdefault((lr, decay), []).append(parameter)
    for (lr, decay), parameters in made.items():
        yield {"params": parameters, "lr": lr, "weight_decay": decay}


class Schedule:
    """Set the learning rate step by step and epoch by epoch, and say when to stop.

    The rate of each group of parameters is its own `lr` times a factor: it rises over
    `warmup_steps`; then it follows a cosine, or is multiplied by `lr_factor` whenever the loss has
    not improved for `lr_patience` epochs, up to `max_lr_steps` times.

    Args:
        optimizer: Whose rates are set, at once for the first step.
        config: `schedule` and the settings beside it are taken from it.
        total_steps: Updates until the cosine ends, counted from the first of this schedule.

    Attributes:
        step_count: Updates so far.
        best: Lowest loss so far.
        bad_epochs: Epochs since then.

    Example:
        >>> weights = nn.Linear(1, 1)
        >>> config = Config().changed(schedule="cosine", lr=1.0, warmup_steps=2, min_lr_share=0)
        >>> optimizer = build_optimizer(weights, config)
        >>> schedule = Schedule(optimizer, config, total_steps=6)
        >>> for _ in range(6):
        ...     print(round(optimizer.param_groups[0]["lr"], 2), end=" ")
        ...     schedule.step()
        0.5 1.0 1.0 0.85 0.5 0.15
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, config: Config, *, total_steps: int
    ) -> None:
        self._optimizer, self._training = optimizer, config.training_params
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        self._begin, self._total = 0, max(1, total_steps)
        self.step_count = 0
        self.best, self.bad_epochs = math.inf, 0
        self._stalled, self._reductions = 0, 0
        self._apply()

    @property
    def factor(self) -> float:
        """What the rates are multiplied by at the next update."""
        training, step = self._training, self.step_count
        warmup = min(1.0, (step + 1) / training.warmup_steps) if training.warmup_steps else 1.0
        if training.schedule == "cosine":
            begin = max(self._begin, min(training.warmup_steps, self._begin + self._total))
            length = max(1, self._begin + self._total - begin)
            done = min(max(0, step - begin) / length, 1.0)
            low = training.min_lr_share
            return warmup * (low + (1 - low) * (1 + math.cos(math.pi * done)) / 2)
        return warmup * training.lr_factor**self._reductions

    def step(self) -> None:
        """Count an update of the weights, and set the rate of the next."""
        self.step_count += 1
        self._apply()

    def epoch(self, loss: float) -> bool:
        """Take note of a validation's loss.

        Args:
            loss: Smaller is better; NaN counts as no improvement.

        Returns:
            Whether to stop: the loss has not improved for `stop_patience` epochs.
        """
        training = self._training
        if loss < self.best - (training.min_delta if math.isfinite(self.best) else 0.0):
            self.best, self.bad_epochs, self._stalled = loss, 0, 0
            return False
        self.bad_epochs += 1
        self._stalled += 1
        if training.schedule == "plateau" and self._stalled > training.lr_patience:
            self._stalled = 0
            self._reductions = min(self._reductions + 1, training.max_lr_steps)
            self._apply()
        return self.bad_epochs >= training.stop_patience

    def state_dict(self) -> dict[str, Any]:
        """Give what must be kept to go on.

        Returns:
            Plain numbers.
        """
        return {
            "step_count": self.step_count,
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "stalled": self._stalled,
            "reductions": self._reductions,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: a cosine begins anew, the patience to stop too.

        Args:
            state: As `state_dict` gave it.
        """
        self.step_count = self._begin = int(state["step_count"])
        self.best = float(state["best"])
        self.bad_epochs, self._stalled = 0, int(state["stalled"])
        self._reductions = int(state["reductions"])
        self._apply()

    def _apply(self) -> None:
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * self.factor


def working_precision(config: Config, device: torch.device) -> Precision:
    """Say in which precision a network is trained.

    Args:
        config: `use_mixed_precision` and `precision` are taken from it.
        device: Where it is trained.

    Returns:
        "32", "bf16" or "fp16", the latter two by autocast.

    Example:
        >>> working_precision(Config(), torch.device("cpu"))
        '32'
    """
    training = config.training_params
    if not training.use_mixed_precision:
        return "32"
    if training.precision != "auto":
        return training.precision
    if device.type != "cuda":
        return "32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
