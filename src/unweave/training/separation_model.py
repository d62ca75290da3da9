"""A network with all that its training needs, for loops of one's own.

    for mixture, targets in batches:
        model.set_data(mixture, targets)
        model.forward()
        model.compute_loss()
        model.backward()
        model.optimizer_step()

`unweave train` does not need it: there Lightning runs the loop.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from unweave.errors import ConfigError, ParameterError
from unweave.separation.devices import resolve_device
from unweave.separation.separator import Separator
from unweave.training.config import Config
from unweave.training.network import build_network
from unweave.training.objective import Objective, Prediction
from unweave.training.optimisers import Schedule, build_optimizer, working_precision
from unweave.training.states import StateFiles, WithStates


class SeparationModel(WithStates, ABC):
    """Wrap a network with its loss, optimiser, schedule and the files of their states.

    With `training_mode` it starts in training mode, and goes on from the step `last_epoch` if that
    is set; without, it starts in evaluation mode with the weights of the step `best_epoch`, or with
    the best in its folder. States are kept in `save_dir`/checkpoint.

    Args:
        config: Settings, or the contents of a config.json.
        device: "auto" for a GPU if there is one, or any torch device.

    Attributes:
        config: The settings.
        device: Where the network is.
        model: The network.
        optimizer: Updates its weights.
        scheduler: Sets the learning rate and says when to stop.
        grad_scaler: Of the loss, in use with fp16 only.
        mixture: Of the batch at hand.
        target: Its sources, if they were given.
        estimate: What the network makes of the mixture.
        loss: Of the estimate, as a tensor.

    Raises:
        ConfigError: A setting is wrong, or the model is of another kind.
        WeightsError: A state that is asked for is missing or foreign.

    Example:
        >>> config = Config.template("AudioNetSimple", hidden_channels=2, sample_rate=8000)
        >>> model = AudioModel(config, device="cpu")
        >>> model.set_data(torch.randn(2, 1, 2048), torch.randn(2, 1, 2048))
        >>> model.forward()
        >>> loss = model.compute_loss()
        >>> model.backward()
        >>> model.optimizer_step()
    """

    architectures: ClassVar[tuple[str, ...]] = ()
    mixture: Tensor
    target: Tensor | None
    loss: Tensor

    def __init__(
        self, config: Config | Mapping[str, Any], *, device: str | torch.device = "auto"
    ) -> None:
        self.config = Config.of(config)
        kind = self.config.kind
        if kind.architecture not in self.architectures:
            raise ConfigError(
                f"model_params.model_type: {kind.name} is no model for"
                f" {type(self).__name__}: give it to {_WRAPPERS[kind.architecture]}"
            )
        self.device = resolve_device(device)
        self.model: nn.Module = build_network(self.config).to(self.device)
        self.optimizer = build_optimizer(self.model, self.config)
        self.scheduler = Schedule(self.optimizer, self.config, total_steps=_steps(self.config))
        self._precision = working_precision(self.config, self.device)
        self.grad_scaler = torch.amp.GradScaler(
            self.device.type,
            init_scale=self.config.training_params.mixed_precision_scale,
            enabled=self._precision == "fp16",
        )
        about = self.config.model_params
        place = None if about.save_dir is None else Path(about.save_dir)
        self._files = StateFiles(place, about.model_name)
        self._objective = Objective(self.config)
        self._prediction: Prediction | None = None
        self._validation: list[float] = []
        self._training_losses: list[float] = []
        self._waiting = 0
        self._start()

    def _start(self) -> None:
        training = self.config.training_params
        if training.training_mode:
            self.train()
            if training.last_epoch >= 0:
                self.load(training.last_epoch)
            return
        self.eval()
        if training.best_epoch >= 0 or self._files.has_weights():
            self.load_model(training.best_epoch if training.best_epoch >= 0 else None)

    # A batch

    def set_data(self, *data: Tensor) -> None:
        """Take a batch: the mixture, and its sources while there is something to learn.

        Args:
            *data: Mixture and target; a target of one source needs no axis for it.

        Raises:
            ParameterError: The shapes do not fit the model or each other.

        Shape:
            mixture: (batch, channels, time)
            target: (batch, sources, channels, time), or like the mixture for one source
        """
        if not 1 <= len(data) <= 2:
            raise ParameterError(f"{len(data)} tensors were given: a mixture and a target, or one")
        mixture = data[0]
        channels = self.config.dataset_params.num_channels
        if mixture.ndim != 3 or mixture.shape[1] != channels or not mixture.is_floating_point():
            raise ParameterError(
                f"a mixture {tuple(mixture.shape)} of {mixture.dtype} was given: floating samples"
                f" (batch, {channels}, time) are expected"
            )
        self.mixture, self.target = mixture.to(self.device), None
        if len(data) == 2:
            target = data[1].to(self.device)
            sources = len(self.config.dataset_params.targets)
            target = target[:, None] if target.ndim == 3 else target
            wanted = (len(mixture), sources, *mixture.shape[1:])
            if target.shape != wanted:
                raise ParameterError(
                    f"a target {tuple(target.shape)} was given: (batch, sources, channels, time) ="
                    f" {wanted} is expected"
                )
            self.target = target
        self._prediction = None

    @abstractmethod
    def forward(self) -> None:
        """Estimate the sources of the batch."""

    def test(self) -> None:
        """Estimate the sources without keeping what gradients need."""
        with torch.no_grad():
            self.forward()

    def _predicted(self) -> Prediction:
        if not hasattr(self, "mixture"):
            raise ParameterError("there is no batch: call set_data first")
        types = {"bf16": torch.bfloat16, "fp16": torch.float16}
        dtype = types.get(self._precision, torch.bfloat16)
        with torch.autocast(self.device.type, dtype, enabled=self._precision != "32"):
            self._prediction = self._objective.predict(self.model, self.mixture)
        return self._prediction

    @property
    def estimate(self) -> Tensor:
        """The sources of the batch, shape (batch, sources, channels, time)."""
        if self._prediction is None:
            raise ParameterError("there is no estimate: call forward or test first")
        return self._prediction.stems

    def compute_loss(self) -> float:
        """Compare the estimate with the target.

        Returns:
            The loss; in evaluation mode it counts for the next `scheduler_step`.

        Raises:
            ParameterError: There is no estimate or no target.
        """
        if self._prediction is None or self.target is None:
            missing = "no estimate: call forward" if self.target is not None else "no target"
            raise ParameterError(f"there is {missing} first (set_data takes mixture and target)")
        self.loss = self._objective(self._prediction, self.target)
        value = float(self.loss.detach())
        (self._training_losses if self.model.training else self._validation).append(value)
        return value

    def backward(self) -> None:
        """Add the gradients of the loss to those that are there."""
        share = self.loss / self.config.training_params.accumulate_grad_batches
        torch.autograd.backward(self.grad_scaler.scale(share))

    def optimizer_step(self) -> None:
        """Update the weights; with `accumulate_grad_batches`, on every so manieth call."""
        training = self.config.training_params
        self._waiting += 1
        if self._waiting < training.accumulate_grad_batches:
            return
        self._waiting = 0
        if training.max_grad_norm:
            self.grad_scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), training.max_grad_norm)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()

    def scheduler_step(self) -> bool:
        """End an epoch: lower the learning rate if the loss no longer falls.

        What counts is the mean of the losses computed in evaluation mode since the last call; of
        those in training mode if there are none.

        Returns:
            Whether to stop.

        Raises:
            ParameterError: No loss has been computed.
        """
        losses = self._validation or self._training_losses
        if not losses:
            raise ParameterError("no loss has been computed since the last call of scheduler_step")
        mean = math.fsum(losses) / len(losses)
        self._validation, self._training_losses = [], []
        return self.scheduler.epoch(mean)

    def train(self) -> None:
        """Let the network train: dropout and the like are on."""
        self.model.train()

    def eval(self) -> None:
        """Let the network work: dropout and the like are off."""
        self.model.eval()

    # Songs

    def separate(self, audio: Tensor) -> Tensor:
        """Take a signal of any length apart.

        Args:
            audio: Samples at the model's rate, mono or stereo whatever the model is.

        Returns:
            Its sources, on the device of `audio`; the network's mode stays as it is.

        Raises:
            ParameterError: `audio` is not a floating signal, or holds NaN or infinities.

        Shape:
            audio: (..., channels, time)
            returns: the same for one target, (..., sources, channels, time) for several
        """
        training = self.model.training
        separator = Separator(self.model, device=self.device)
        try:
            stems = separator.separate(audio, self.config.dataset_params.sample_rate)
        finally:
            self.model.train(training)
        found = list(stems.values())
        return found[0] if len(found) == 1 else torch.stack(found, -min(3, audio.ndim + 1))


class SpectrogramMaskModel(SeparationModel):
    """Train a network that masks the mixture's spectrogram.

    Args:
        config: Settings, or the contents of a config.json, of a SpectrogramNet, OpenUnmix,
            TFCTDFUNet or BandMask.
        device: "auto" for a GPU if there is one, or any torch device.

    Attributes:
        mask: What a real mask's network drew for the batch, shape (batch, sources, channels, freq,
            frames); None for complex masks and masks of bands.

    Raises:
        ConfigError: A setting is wrong, or the model is of another kind.
        WeightsError: A state that is asked for is missing or foreign.

    Example:
        >>> config = Config.template("SpectrogramNetSimple", hidden_channels=2)
        >>> mask_model = SpectrogramMaskModel(config, device="cpu")
        >>> mix_audio = torch.rand((1, 88200))
        >>> mask_model.separate(mix_audio).shape
        torch.Size([1, 88200])
    """

    architectures = ("mask", "openunmix", "tfc_tdf", "bandmask")
    mask: Tensor | None = None

    def forward(self) -> None:
        """Draw the masks of the batch."""
        self.mask = self._predicted().masks


class AudioModel(SeparationModel):
    """Train a network that draws the sources' waveforms.

    Args:
        config: Settings, or the contents of a config.json, of an AudioNet or HybridNet.
        device: "auto" for a GPU if there is one, or any torch device.

    Raises:
        ConfigError: A setting is wrong, or the model is of another kind.
        WeightsError: A state that is asked for is missing or foreign.

    Example:
        >>> config = Config.template("AudioNetSimple", hidden_channels=2, targets="bass,drums")
        >>> AudioModel(config, device="cpu").separate(torch.zeros(2, 5000)).shape
        torch.Size([2, 2, 5000])
    """

    architectures = ("wave",)

    def forward(self) -> None:
        """Draw the waveforms of the batch."""
        self._predicted()


_WRAPPERS = {
    name: kind.__name__
    for kind in (SpectrogramMaskModel, AudioModel)
    for name in kind.architectures
}


def _steps(config: Config) -> int:
    """Give the number of updates of all epochs."""
    training = config.training_params
    excerpts = training.batch_size * training.accumulate_grad_batches
    return training.max_epochs * math.ceil(config.dataset_params.max_num_samples / excerpts)
