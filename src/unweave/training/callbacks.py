"""What happens beside the training: states are kept, logs written, excerpts shown, people told."""

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from unweave.errors import WeightsError
from unweave.training.checkpoints import cannot_write, save_state
from unweave.training.config import Config
from unweave.training.events import Event, Listener
from unweave.training.files import replacing
from unweave.training.lightning import TrainingModule
from unweave.training.model_folder import ModelFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_SECONDS_BETWEEN_STEPS = 0.1


def ours(module: LightningModule) -> TrainingModule:
    """Give the module its type.

    Args:
        module: As callbacks get it.

    Returns:
        The same.
    """
    assert isinstance(module, TrainingModule)
    return module


def measured(trainer: Trainer, name: str) -> float:
    """Give what was logged in this epoch.

    Args:
        trainer: Of the run.
        name: Of the value.

    Returns:
        The mean, or NaN where nothing was logged.
    """
    value = trainer.callback_metrics.get(name)
    return math.nan if value is None else float(value)


@dataclass
class Keeper(Callback):
    """Keep the best and the last weights and the state after every epoch; stop in time.

    Args:
        folder: Of the model.
        config: Of the training.
        yardstick: What losses are measured by: those of another one are not compared with.

    Attributes:
        best_loss: Lowest loss so far.
        best_epoch: Its epoch, 0 before the first.
        improved: Whether that was the last one.
        history: Loss, validation loss and SI-SDR of each epoch of this run.
    """

    folder: ModelFolder
    config: Config
    yardstick: str
    best_loss: float = math.inf
    best_epoch: int = 0
    improved: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the state of the start: weights are never without one, and the disk is tried.

        Args:
            trainer: Of the run.
            pl_module: What is trained.

        Raises:
            UnweaveError: The disk is full.
        """
        if trainer.is_global_zero and not self.folder.last_checkpoint.exists():
            save_state(self.folder.last_checkpoint, ours(pl_module).state())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep everything, the state last: what it speaks of is there.

        Args:
            trainer: Of the run.
            pl_module: What is trained.

        Raises:
            UnweaveError: The loss is no number, or the disk is full; what was there is kept.
        """
        module = ours(pl_module)
        module.check_loss()
        module.epochs_done += 1
        loss = measured(trainer, "val_loss")
        loss = measured(trainer, "loss") if math.isnan(loss) else loss
        stop = module.schedule.epoch(loss)
        # Without a number yet, anything is better
        self.improved = loss < self.best_loss or not math.isfinite(self.best_loss)
        if self.improved:
            self.best_loss, self.best_epoch = loss, module.epochs_done
        row = {name: measured(trainer, name) for name in ("loss", "val_loss", "val_si_sdr")}
        self.history.append({"epoch": module.epochs_done, **row})
        if trainer.is_global_zero:
            self._write(module, row)
        trainer.should_stop = trainer.should_stop or stop

    def _write(self, module: TrainingModule, row: dict[str, float]) -> None:
        told = {name: f"{value:.6g}" for name, value in row.items() if math.isfinite(value)}
        about = {"unweave.epoch": str(module.epochs_done), "unweave.step": str(module.steps_done)}
        about |= {f"unweave.{name}": value for name, value in told.items()}
        with module.average.applied() as network:
            paths = [self.folder.last_weights]
            paths += [self.folder.best_weights] * self.improved
            for path in paths:
                try:
                    with replacing(path) as part:
                        self.folder.save_network(part, network, self.config, about)
                except (OSError, WeightsError) as error:
                    raise cannot_write(path, error) from error
        best = {
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "yardstick": self.yardstick,
        }
        save_state(self.folder.last_checkpoint, module.state() | {"keeper": best})


class Telling(Callback):
    """Tell a listener how far the training is.

    Args:
        listener: Called with each `Event` of the first process.
        keeper: Knows the best epoch.
        epochs: Number of the last epoch that this run is to make.
    """

    def __init__(self, listener: Listener, keeper: Keeper, epochs: int) -> None:
        self._tell, self._keeper, self._epochs = listener, keeper, epochs
        self._said = self._begin = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the time.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
        """
        self._begin = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell of a step, ten times a second at most.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
            outputs: Of the step.
            batch: Of the step.
            batch_idx: Its number.
        """
        now, steps = time.monotonic(), int(trainer.num_training_batches)
        late = now - self._said > _SECONDS_BETWEEN_STEPS or batch_idx + 1 == steps
        if not trainer.is_global_zero or not late:
            return
        self._said, module = now, ours(pl_module)
        self._tell(
            Event(
                "step",
                module.epochs_done + 1,
                self._epochs,
                batch_idx + 1,
                steps,
                loss=module.last_loss,
                lr=_rate(trainer),
                seconds=now - self._begin,
            )
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell of an epoch; the keeper has counted it already.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
        """
        if not trainer.is_global_zero:
            return
        steps = int(trainer.num_training_batches)
        self._tell(
            Event(
                "epoch",
                ours(pl_module).epochs_done,
                self._epochs,
                steps,
                steps,
                loss=measured(trainer, "loss"),
                val_loss=measured(trainer, "val_loss"),
                val_si_sdr=measured(trainer, "val_si_sdr"),
                lr=_rate(trainer),
                seconds=time.monotonic() - self._begin,
                best=self._keeper.improved,
            )
        )
        if not self._keeper.config.training_params.silent_checkpoint:
            epoch, path = ours(pl_module).epochs_done, str(self._keeper.folder.last_checkpoint)
            best = self._keeper.improved
            self._tell(Event("checkpoint", epoch, self._epochs, best=best, path=path))


def _rate(trainer: Trainer) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])


class Logs(Callback):
    """Write losses, rates and what else is asked for to TensorBoard.

    Args:
        writer: Of the logs; closed at the end.
        config: `view_gradient`, `view_norm` and `view_weights` are taken from it.
    """

    def __init__(self, writer: "SummaryWriter", config: Config) -> None:
        self._writer, self._wanted = writer, config.visualizer_params
        self._norms: list[torch.Tensor] = []

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure gradients before they are clipped; draw their histograms once an epoch.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
            optimizer: That is about to step.
        """
        if self._wanted.view_norm:
            found = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
            self._norms.append(torch.stack([grad.norm() for grad in found]).norm())
        if self._wanted.view_gradient and trainer.is_last_batch:
            for name, weight in ours(pl_module).network.named_parameters():
                if weight.grad is not None and bool(weight.grad.isfinite().all()):
                    self._histogram(f"gradients/{name}", weight.grad, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the values of an epoch.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
        """
        module = ours(pl_module)
        for name in ("loss", "val_loss", "val_si_sdr"):
            if math.isfinite(value := measured(trainer, name)):
                self._writer.add_scalar(name, value, module.epochs_done)
        self._writer.add_scalar("lr", _rate(trainer), module.epochs_done)
        if self._norms:
            mean = float(torch.stack(self._norms).mean())
            self._writer.add_scalar("gradient_norm", mean, module.epochs_done)
            self._norms.clear()
        if self._wanted.view_weights:
            for name, weight in module.network.named_parameters():
                self._histogram(f"weights/{name}", weight, pl_module)
        self._writer.flush()

    def _histogram(self, name: str, values: torch.Tensor, module: LightningModule) -> None:
        self._writer.add_histogram(name, values.detach().float().cpu(), ours(module).epochs_done)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the file.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
            stage: Of Lightning.
        """
        self._writer.close()


@dataclass
class Fate(Callback):
    """Remember what ended a run: Lightning turns Ctrl-C into an exit of its own.

    Attributes:
        exceptions: What was raised.
    """

    exceptions: list[BaseException] = field(default_factory=list)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Keep it.

        Args:
            trainer: Of the run.
            pl_module: What is trained.
            exception: What was raised.
        """
        self.exceptions.append(exception)
