"""The one place where Lightning meets the network: a thin module without a state of its own kind.

Lightning runs the loops, the devices, the precision and the processes. What a training is, and what
is kept of it, is ours: files of this package do not depend on Lightning's version.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from unweave.errors import UnweaveError, WeightsError
from unweave.evaluation import si_sdr
from unweave.training.averaging import WeightAverage
from unweave.training.config import Config
from unweave.training.network import architecture_of
from unweave.training.objective import Objective
from unweave.training.optimisers import Schedule, build_optimizer

Batch = tuple[Tensor, Tensor]
_OVERFLOWS = 20  # losses in a row that fp16 may make infinite while its scale is found


class TrainingModule(LightningModule):
    """Train a network on batches of mixtures and their sources.

    Args:
        network: As `build_network` makes it.
        config: All settings.
        total_steps: Updates that this run is to make.
        state: What an earlier run kept, as `state` gives it.

    Attributes:
        network: In training mode, with its own weights, but for validation.
        average: The moving average of its weights, which validates.
        schedule: Of the learning rate.
        epochs_done: Whole epochs behind us, earlier runs included.
        steps_done: Updates behind us, earlier runs included.
        last_loss: Of the step before the last, as a number.
    """

    schedule: Schedule

    def __init__(
        self,
        network: nn.Module,
        config: Config,
        *,
        total_steps: int,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.average = WeightAverage(network, config.training_params.ema_decay)
        self.epochs_done = int(state["epoch"]) if state else 0
        self.steps_done = int(state["step"]) if state else 0
        self.last_loss = math.nan
        self._config, self._objective = config, Objective(config)
        self._total_steps, self._state = total_steps, state
        self._pending: Tensor | None = None
        self._overflows = 0

    # What a run goes on from

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser and the schedule, or go on with those of an earlier run.

        Returns:
            The optimiser.

        Raises:
            WeightsError: The state is that of another optimiser.
        """
        optimizer = build_optimizer(self.network, self._config)
        self.schedule = Schedule(optimizer, self._config, total_steps=self._total_steps)
        if self._state is not None:
            kept = self._state["optimizer"]
            if self._state["kind"] != type(optimizer).__name__ or len(kept["param_groups"]) != len(
                optimizer.param_groups
            ):
                raise WeightsError(
                    f"the state is that of {self._state['kind']}, the configuration asks for"
                    f" {type(optimizer).__name__} or other groups of weights: an optimiser cannot"
                    " be changed between runs: put optimizer and lr_lstm back, or make a new model"
                )
            # The moments are kept; rate, decay and their like are those of the configuration.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": kept["state"], "param_groups": groups})
            self.schedule.load_state_dict(self._state["schedule"])
        return optimizer

    def on_fit_start(self) -> None:
        """Load what needs to know the device."""
        if self._state is not None:
            self.average.load_state_dict(self._state["average"])
            if self._state["scaler"]:
                self.trainer.precision_plugin.load_state_dict(self._state["scaler"])
            self._state = None  # its memory is wanted

    def state(self) -> dict[str, Any]:
        """Give what a later run needs to go on as if there had been no pause.

        Returns:
            Tensors, numbers and text in lists and dictionaries.
        """
        [optimizer] = self.trainer.optimizers
        return {
            "epoch": self.epochs_done,
            "step": self.steps_done,
            "architecture": list(architecture_of(self._config)),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "kind": type(optimizer).__name__,
            "optimizer": optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.trainer.precision_plugin.state_dict(),
        }

    # Training

    def on_train_epoch_start(self) -> None:
        """Draw dropout and their like from a seed of this epoch, process and training."""
        words = (self._config.training_params.seed, self.epochs_done, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch.

        Args:
            batch: Mixtures and their sources.
            batch_idx: Its number within the epoch.

        Returns:
            The loss.

        Raises:
            UnweaveError: An earlier loss was not finite.
        """
        self.check_loss()
        mixture, targets = batch
        loss = self._objective(self._objective.predict(self.network, mixture), targets)
        self._pending = loss.detach()
        self.log(
            "loss",
            self._pending,
            on_step=False,
            on_epoch=True,
            batch_size=len(mixture),
            sync_dist=True,
        )
        return loss

    def check_loss(self) -> None:
        """See that the last loss is a number.

        It is looked at one step late: a GPU need not be waited for while it has nothing queued.

        Raises:
            UnweaveError: It is not.
        """
        if self._pending is None:
            return
        self.last_loss, self._pending = float(self._pending), None
        self._overflows = 0 if math.isfinite(self.last_loss) else self._overflows + 1
        allowed = _OVERFLOWS if self.trainer.precision == "16-mixed" else 0
        if self._overflows > allowed:
            raise UnweaveError(
                f"the loss became {self.last_loss} in epoch {self.epochs_done + 1}, after"
                f" {self.steps_done} updates: lower lr or max_grad_norm, raise warmup_steps, or"
                " set use_mixed_precision to false; the state before this epoch is kept"
            )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weights, the learning rate and the average.

        Args:
            *args: As Lightning gives them.
            **kwargs: As Lightning gives them.
        """
        super().optimizer_step(*args, **kwargs)
        self.schedule.step()
        self.average.update()
        self.steps_done += 1

    # Validation, with the average of the weights

    def on_validation_start(self) -> None:
        """Put the average in place."""
        self.average.exchange()

    def on_validation_end(self) -> None:
        """Put the weights back."""
        self.average.exchange()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Compute the loss and the SI-SDR of a batch.

        Args:
            batch: Mixtures and their sources.
            batch_idx: Its number.
        """
        mixture, targets = batch
        made = self._objective.predict(self.network, mixture)
        loss = self._objective(made, targets)
        size = len(mixture)
        self.log("val_loss", loss, batch_size=size, sync_dist=True)
        ratios = si_sdr(made.stems.float(), targets.float())
        heard = ratios.isfinite()
        count = int(heard.sum())
        mean = ratios[heard].mean() if count else ratios.new_zeros(())
        # Silent targets have no ratio: a batch counts by how many it has
        self.log("val_si_sdr", mean, batch_size=count, sync_dist=True)
