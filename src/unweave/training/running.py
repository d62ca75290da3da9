"""Lightning's trainer, told everything and kept from talking."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision

from unweave.errors import ConfigError
from unweave.training.callbacks import Fate
from unweave.training.config import Config
from unweave.training.model_folder import ModelFolder
from unweave.training.optimisers import working_precision

_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}
_LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
# What is warned of and meant so; any other warning is seen.
_MEANT = (
    "GPU available but not used",  # another accelerator was asked for
    "MPS available but not used",
    "You defined a `validation_step` but have no `val_dataloader`",  # validation_split=0
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's tips and device reports off the terminal.

    Yields:
        While it is quiet.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for text in _MEANT:
            warnings.filterwarnings("ignore", message=text)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def build_trainer(place: ModelFolder, config: Config) -> Trainer:
    """Build the trainer of a run. It writes no file and draws no bar: our callbacks do.

    Args:
        place: The model's folder.
        config: Settings of the run.

    Returns:
        The trainer, still without callbacks.

    Raises:
        ConfigError: The devices asked for are not there, or do not know the precision.
    """
    training = config.training_params
    if training.accelerator == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training_params.accelerator='cuda': torch sees no GPU of CUDA here")
    cuda = training.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    options: dict[str, Any] = _precision(config, torch.device("cuda" if cuda else "cpu"))
    plugins: list[Any] = options.setdefault("plugins", [])
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        # A job that is queued again goes on from our own state; Lightning would write one as well
        plugins.append(SLURMEnvironment(auto_requeue=False))
    clip = training.max_grad_norm
    try:
        return Trainer(
            accelerator=training.accelerator,
            devices=training.devices,
            num_nodes=training.num_nodes,
            strategy=training.strategy,
            max_epochs=training.max_epochs,
            gradient_clip_val=clip or None,
            accumulate_grad_batches=training.accumulate_grad_batches,
            # Statistics of a batch are those of all GPUs; torch has no such thing for CPUs
            sync_batchnorm=cuda,
            use_distributed_sampler=False,
            default_root_dir=place.path,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **options,
        )
    except (RuntimeError, ValueError) as error:
        # Lightning's MisconfigurationException is no RuntimeError in all versions
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"accelerator={training.accelerator}, devices={training.devices}: {reason}"
        ) from error


def _precision(config: Config, device: torch.device) -> dict[str, Any]:
    wanted = working_precision(config, device)
    if wanted in _PRECISIONS:
        return {"precision": _PRECISIONS[wanted]}
    if device.type != "cuda":
        raise ConfigError("training_params.precision='fp16' needs a GPU: take bf16, or 32")
    scale = config.training_params.mixed_precision_scale
    scaler = torch.amp.GradScaler("cuda", init_scale=scale)
    return {"plugins": [MixedPrecision("16-mixed", "cuda", scaler)]}


def run_trainer(
    trainer: Trainer,
    module: LightningModule,
    training: Iterable[Any],
    validation: Iterable[Any] | None,
    callbacks: Sequence[Callback],
) -> None:
    """Run all epochs.

    Args:
        trainer: From `build_trainer`.
        module: What is trained.
        training: Batches.
        validation: Batches, if there are any.
        callbacks: In the order in which they must see the end of an epoch.

    Raises:
        KeyboardInterrupt: The run was interrupted, which Lightning makes an exit of its own.
    """
    fate = Fate()
    trainer.callbacks.extend([*callbacks, fate])  # type: ignore[attr-defined]
    try:
        trainer.fit(module, training, validation)
    except SystemExit:
        for cause in fate.exceptions:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from None
        raise
