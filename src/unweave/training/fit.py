"""Train the model of a folder on a data set; call it again, and it goes on."""

import importlib.util
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unweave.errors import ConfigError, DependencyError, WeightsError
from unweave.training.checkpoints import cannot_write, load_state, locked, sweep
from unweave.training.config import Config
from unweave.training.config_files import save_config
from unweave.training.events import Event, Listener
from unweave.training.model_folder import ModelFolder
from unweave.training.network import architecture_of, build_network, differences

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from torch.utils.tensorboard import SummaryWriter

    from unweave.training.callbacks import Keeper

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run reached.

    Attributes:
        folder: Of the model.
        epochs: Done in all runs.
        steps: Updates of the weights in all runs.
        best_epoch: Whose weights were the best.
        best_loss: Their loss of validation.
        history: Loss, validation loss and SI-SDR of each epoch of this run.
        seconds: That this run took, without its evaluation.
        waited: Share of them that passed in waiting for data.
        stopped: Whether the run ended before `max_epochs`, since the loss stalled.
        scores: SDR and SI-SDR of each validation track and target, as evaluation.csv has them.
    """

    folder: Path
    epochs: int
    steps: int
    best_epoch: int
    best_loss: float
    history: list[dict[str, float]]
    seconds: float
    waited: float
    stopped: bool
    scores: list[dict[str, Any]] = field(default_factory=list)


def train(
    folder: str | Path,
    dataset_path: str | Path | None = None,
    *,
    listener: Listener | None = None,
    evaluate: bool = True,
    **settings: Any,
) -> TrainingResult:
    """Train a model for `max_epochs` epochs, from where its last training stopped.

    Nothing that is in the folder is removed. A run that was killed, by whatever and whenever, goes
    on from its last whole epoch.

    Args:
        folder: Of the model, as `unweave config` makes it.
        dataset_path: Folder of the data set, which is kept in config.json; None for the one kept.
        listener: Called with an `Event` when an epoch is done, and now and then between.
        evaluate: Whether to write evaluation.csv at the end.
        **settings: Of config.json that are different in this run only; not those of the network.

    Returns:
        What the run reached.

    Raises:
        ConfigError: There is no such model, a setting is wrong, or no data set is known.
        DatasetError: The data set is broken, or lacks a target.
        WeightsError: What is in the folder checkpoint is damaged or of another program.
        DependencyError: Lightning, or what logs or pictures need, is not installed.
        UnweaveError: The loss is no number, the disk is full, or another training is under way;
            the last whole epoch is kept.

    Example:
        >>> train("no_such_model", "path/to/dataset")
        Traceback (most recent call last):
        unweave.errors.ConfigError: no_such_model: no such model folder: ...
    """
    _require("lightning", "pydantic")
    place = ModelFolder.open(folder)
    kept = place.load_config()
    if dataset_path is not None:
        kept = kept.changed(dataset_path=str(Path(dataset_path).resolve()))
    config = _for_this_run(kept, settings)
    if config.dataset_params.dataset_path is None:
        raise ConfigError(
            f"{place.path}: no data set is known: `unweave train {place.path} path/to/dataset`"
        )
    _require_shown(config)
    from unweave.training.running import quiet

    with ExitStack() as stack:
        if first_process():
            _prepare(place)
            stack.enter_context(locked(place.checkpoints))
            sweep(place.checkpoints)
        stack.enter_context(quiet())
        stack.enter_context(torch.random.fork_rng(devices=[]))  # epochs set their own seeds
        run = _Run(place, config, kept, listener)
        result = run.fit()
    if evaluate and first_process():
        result = run.evaluated(result)
    return result


def first_process() -> bool:
    """Tell whether this is the process that writes files.

    Returns:
        Whether torchrun, SLURM or Lightning gave it the number 0, or none of them started it.

    Example:
        >>> first_process()
        True
    """
    for name in _RANKS:
        if name in os.environ:
            return os.environ[name] == "0"
    return True


def _require(*names: str, remedy: str = "") -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise DependencyError(f"training needs {name}: pip install 'unweave[train]'{remedy}")


def _require_shown(config: Config) -> None:
    """See now, not after hours, whether there is what draws pictures and writes logs."""
    shown = config.visualizer_params
    if shown.tensorboard:
        _require("tensorboard", remedy=", or train without logs (--no-tensorboard)")
    if (shown.view_spectrogram or shown.view_waveform) and (shown.save_image or shown.tensorboard):
        _require(
            "matplotlib",
            remedy=", or train without pictures (--no-view-spectrogram --no-view-waveform)",
        )


def _for_this_run(kept: Config, settings: Mapping[str, Any]) -> Config:
    config = kept.changed(**settings)
    if changed := differences(config, *architecture_of(kept)):
        raise ConfigError(
            f"a run cannot change the network ({'; '.join(changed)}): `unweave config` can, before"
            " the first"
        )
    return config


def _prepare(place: ModelFolder) -> None:
    try:
        place.checkpoints.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(place.checkpoints, error) from error
    if place.last_checkpoint.exists():
        return
    for weights in (place.best_weights, place.last_weights):
        if weights.exists():
            raise ConfigError(
                f"{weights}: has no {place.last_checkpoint.name} beside it to go on from, and"
                " would be replaced: move it away to train anew"
            )


class _Run:
    """One call of `train`.

    Args:
        place: The folder.
        config: Settings of this run.
        kept: Settings that config.json is to hold.
        listener: Of its events.
    """

    def __init__(
        self, place: ModelFolder, config: Config, kept: Config, listener: Listener | None
    ) -> None:
        from unweave.training.data import Data

        self.place, self.config, self.listener = place, config, listener
        self.state = _state_of(place)
        self.network = _network_of(place, config, self.state)
        self.data = Data(config, progress=self._decoded)
        if first_process() and kept != place.load_config():
            save_config(kept, place.config_file)

    def fit(self) -> TrainingResult:
        """Train."""
        from unweave.training.callbacks import Keeper
        from unweave.training.lightning import TrainingModule
        from unweave.training.running import build_trainer, run_trainer

        training = self.config.training_params
        keeper = Keeper(self.place, self.config, self.data.yardstick, **self._best())
        trainer = build_trainer(self.place, self.config)
        train, validation = self.data.loaders(
            lambda: (trainer.global_rank, trainer.world_size),
            pin=trainer.strategy.root_device.type == "cuda",
        )
        done = int(self.state["epoch"]) if self.state else 0
        steps = math.ceil(len(train) / training.accumulate_grad_batches)
        module = TrainingModule(
            self.network, self.config, total_steps=steps * training.max_epochs, state=self.state
        )
        self.state = None
        train.epoch = lambda: module.epochs_done
        last = done + training.max_epochs
        begin = time.monotonic()
        with self._writer(done) as writer:
            shown = self._shown(keeper, last, writer) if first_process() else []
            try:
                run_trainer(trainer, module, train, validation, [keeper, *shown])
            finally:
                for batches in filter(None, (train, validation)):
                    batches.close()
        seconds = time.monotonic() - begin
        return TrainingResult(
            folder=self.place.path,
            epochs=module.epochs_done,
            steps=module.steps_done,
            best_epoch=keeper.best_epoch,
            best_loss=keeper.best_loss,
            history=keeper.history,
            seconds=seconds,
            waited=train.waited / max(seconds, 1e-9),
            stopped=module.epochs_done < last,
        )

    def _best(self) -> dict[str, Any]:
        """Give the best so far, unless losses are of another kind now, or of other tracks."""
        if self.state is None or "keeper" not in self.state:
            return {}
        best: dict[str, Any] = dict(self.state["keeper"])
        if best.pop("yardstick", None) == self.data.yardstick:
            return best
        self.state["schedule"] |= {"best": math.inf, "stalled": 0}
        return {}

    def _decoded(self, done: int, total: int) -> None:
        if self.listener is not None and first_process():
            self.listener(Event("decode", step=done, steps=total))

    @contextmanager
    def _writer(self, epochs: int) -> "Iterator[SummaryWriter | None]":
        """Open the logs, which leave out what an interrupted epoch may have said."""
        if not (self.config.visualizer_params.tensorboard and first_process()):
            yield None
            return
        from torch.utils.tensorboard import SummaryWriter

        try:
            writer = SummaryWriter(str(self.place.runs), purge_step=epochs + 1)
        except OSError as error:
            raise cannot_write(self.place.runs, error) from error
        with writer:
            yield writer

    def _shown(
        self, keeper: "Keeper", last: int, writer: "SummaryWriter | None"
    ) -> "list[Callback]":
        from unweave.training.callbacks import Logs, Telling
        from unweave.training.snapshots import Snapshots

        shown: list[Callback] = []
        if writer is not None:
            shown.append(Logs(writer, self.config))
        excerpts = self.data.excerpts(self.config.visualizer_params.num_images)
        shown.append(Snapshots(self.place, self.config, excerpts, last_epoch=last, writer=writer))
        if self.listener is not None:
            shown.append(Telling(self.listener, keeper, last))
        return shown

    def evaluated(self, result: TrainingResult) -> TrainingResult:
        """Score the validation tracks with the best weights, and write evaluation.csv."""
        from unweave.training.scores import score_tracks, write_scores

        scores = score_tracks(self.place, self.config, self.data.songs())
        write_scores(self.place.evaluation, scores)
        return replace(result, scores=scores)


def _state_of(place: ModelFolder) -> dict[str, Any] | None:
    return load_state(place.last_checkpoint) if place.last_checkpoint.exists() else None


def _network_of(place: ModelFolder, config: Config, state: Mapping[str, Any] | None) -> nn.Module:
    network = build_network(config)
    if state is not None:
        try:
            changed = differences(config, *state["architecture"])
            if not changed:
                network.load_state_dict(state["network"])
        except (LookupError, RuntimeError, TypeError) as error:
            raise WeightsError(
                f"{place.last_checkpoint}: is damaged, or of another version of unweave: move the"
                " folder checkpoint away to train anew"
            ) from error
        if changed:
            raise WeightsError(
                f"{place.last_checkpoint}: is of another network than {place.config_file.name}"
                f" describes ({'; '.join(changed)}): put that back (`unweave config` does), or move"
                " the folder checkpoint away to train anew"
            )
    return network.train()
