"""What a network makes of a mixture while it is trained, and how far it is from the truth."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unweave.errors import ParameterError
from unweave.losses import (
    component_loss,
    kl_div_loss,
    l1_loss,
    l1_snr_loss,
    l2_loss,
    multi_resolution_stft_loss,
    sdr_loss,
    si_sdr_loss,
)
from unweave.models.separators import MaskSeparator, OpenUnmixSeparator, WaveSeparator
from unweave.training.config import Config
from unweave.transforms import stft

WAVE_LOSSES: dict[str, Callable[..., Tensor]] = {
    "l1": l1_loss,
    "l2": l2_loss,
    "l1_snr": l1_snr_loss,
    "sdr": sdr_loss,
    "si_sdr": si_sdr_loss,
    "multi_resolution_stft": multi_resolution_stft_loss,
}
_HANN_POWER = 3 / 8  # mean square of a Hann window


class Prediction:
    """What a network makes of a batch; stems are only computed where they are asked for.

    Args:
        network: A separator.
        mixture: What it was given.
        stems: What it drew, unless it draws masks.
        spectrum: Of the mixture, if it draws masks.
        masks: What it drew.
        latents: mu and sigma of each variational network.

    Example:
        >>> Prediction(nn.Identity(), torch.zeros(1, 2, 9), torch.zeros(1, 1, 2, 9)).stems.shape
        torch.Size([1, 1, 2, 9])
    """

    def __init__(
        self,
        network: nn.Module,
        mixture: Tensor,
        stems: Tensor | None = None,
        *,
        spectrum: Tensor | None = None,
        masks: Tensor | None = None,
        latents: tuple[tuple[Tensor, Tensor], ...] = (),
    ) -> None:
        self.network, self.mixture = network, mixture
        self.spectrum, self.masks, self.latents = spectrum, masks, latents
        self._stems = stems

    @property
    def stems(self) -> Tensor:
        """Samples, shape (batch, sources, channels, time)."""
        if self._stems is None:
            assert self.masks is not None
            assert self.spectrum is not None
            assert isinstance(self.network, MaskSeparator | OpenUnmixSeparator)
            masked = self.masks * self.spectrum[:, None]
            self._stems = self.network.audio(masked, self.mixture)
        return self._stems


def predict(network: nn.Module, mixture: Tensor, *, latent: bool = False) -> Prediction:
    """Run a network such that every loss can be computed.

    Args:
        network: A separator, as `build_network` makes it.
        mixture: Samples.
        latent: Whether to keep the latent variables of variational networks.

    Returns:
        What it makes of the mixture; gradients reach the weights.

    Shape:
        mixture: (batch, channels, time)

    Example:
        >>> from unweave.models import MaskSeparator
        >>> net = MaskSeparator(n_fft=64, hop_length=16, hidden_channels=2, channels=1)
        >>> made = predict(net, torch.zeros(2, 1, 600))
        >>> made.masks.shape, made.stems.shape
        (torch.Size([2, 1, 1, 33, 38]), torch.Size([2, 1, 1, 600]))
    """
    if isinstance(network, MaskSeparator | OpenUnmixSeparator):
        spectrum = network.spectrum(mixture)
        magnitude = spectrum.abs().to(next(network.parameters()).dtype)
        masks, latents = _drawn(network.networks, magnitude, latent=latent)
        return Prediction(
            network,
            mixture,
            spectrum=spectrum,
            masks=masks.to(spectrum.real.dtype),
            latents=latents,
        )
    if isinstance(network, WaveSeparator) and latent:
        stems, latents = _drawn(network.networks, mixture, latent=True)
        return Prediction(network, mixture, stems.to(mixture.dtype), latents=latents)
    return Prediction(network, mixture, network(mixture))


def _drawn(
    networks: nn.ModuleList, x: Tensor, *, latent: bool
) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
    made, latents = [], []
    for network in networks:
        if latent:
            answer, mu, sigma = network(x, return_latent=True)
            latents.append((mu, sigma))
        else:
            # Open-Unmix's own forward applies its mask
            draw: Callable[[Tensor], Tensor] = getattr(network, "mask", network)
            answer = draw(x)
        made.append(answer)
    return torch.stack(made, 1), tuple(latents)


class Objective:
    """The loss that a configuration asks for.

    Args:
        config: `criterion` and the settings beside it are taken from it.

    Example:
        >>> from unweave.training.network import build_network
        >>> config = Config.template("OpenUnmix", hidden_size=8, num_fft=64, hop_length=16)
        >>> network, objective = build_network(config), Objective(config)
        >>> mixture, targets = torch.randn(2, 2, 600), torch.zeros(2, 1, 2, 600)
        >>> objective(objective.predict(network, mixture), targets).ndim
        0
    """

    def __init__(self, config: Config) -> None:
        self._training, self._data = config.training_params, config.dataset_params

    def predict(self, network: nn.Module, mixture: Tensor) -> Prediction:
        """Run a network such that this loss can be computed.

        Args:
            network: As `build_network` makes it.
            mixture: Samples.

        Returns:
            What it makes of the mixture.

        Shape:
            mixture: (batch, channels, time)
        """
        latent = self._training.criterion == "kl_div_loss"
        return predict(network, mixture, latent=latent)

    def __call__(self, prediction: Prediction, targets: Tensor) -> Tensor:
        """Compare a prediction with the truth.

        Args:
            prediction: As `predict` gives it.
            targets: Samples of the sources.

        Returns:
            The loss.

        Raises:
            ParameterError: The targets have another shape than the stems.

        Shape:
            targets: (batch, sources, channels, time)
        """
        _check(prediction, targets)
        training, criterion = self._training, self._training.criterion
        if criterion == "component_loss":
            loss = self._components(prediction, targets)
        elif criterion == "kl_div_loss":
            terms = [kl_div_loss(*each, reduction="mean") for each in prediction.latents]
            loss = self._plain(training.construction_loss, prediction, targets)
            loss = loss + training.kl_weight * torch.stack(terms).mean()
        else:
            loss = self._plain(criterion, prediction, targets)
        if training.stft_weight:
            spectral = multi_resolution_stft_loss(prediction.stems, targets)
            loss = loss + training.stft_weight * spectral
        return loss

    def _plain(self, name: str, prediction: Prediction, targets: Tensor) -> Tensor:
        if name in WAVE_LOSSES:
            return WAVE_LOSSES[name](prediction.stems, targets)
        if prediction.masks is not None and prediction.spectrum is not None:
            scaled = prediction.spectrum.abs() * self._level
            estimate = prediction.masks * scaled[:, None]
        else:
            estimate = self._magnitudes(prediction.stems)
        loss = l1_loss if name == "spectral_l1" else l2_loss
        # Frequencies and frames take the places of channels and time: the mean is over all
        return loss(estimate, self._magnitudes(targets))

    def _components(self, prediction: Prediction, targets: Tensor) -> Tensor:
        assert prediction.masks is not None
        rest = prediction.mixture[:, None] - targets
        parts = (prediction.masks, self._magnitudes(targets), self._magnitudes(rest))
        mask, target, residual = (part.flatten(0, 1) for part in parts)
        alpha, beta = self._training.alpha_constant, self._training.beta_constant
        return component_loss(mask, target, residual, alpha=alpha, beta=beta)

    @property
    def _level(self) -> float:
        """Brings squared magnitudes to the level of squared samples."""
        return float((_HANN_POWER * self._data.num_fft) ** -0.5)

    def _magnitudes(self, x: Tensor) -> Tensor:
        data = self._data
        made: Tensor = stft(
            x.to(torch.promote_types(x.dtype, torch.float32)) * self._level,
            n_fft=data.num_fft,
            hop_length=data.hop_length,
            pad_mode="constant",
            output="magnitude",
        )
        return made


def _check(prediction: Prediction, targets: Tensor) -> None:
    mixture = prediction.mixture
    wanted = (mixture.shape[0], targets.shape[1:2].numel(), *mixture.shape[1:])
    sources = getattr(prediction.network, "sources", None)
    if targets.ndim != 4 or targets.shape != wanted or (sources and len(sources) != wanted[1]):
        count = len(sources) if sources else "sources"
        raise ParameterError(
            f"targets {tuple(targets.shape)} must be (batch, sources, channels, time) ="
            f" ({mixture.shape[0]}, {count}, {', '.join(map(str, mixture.shape[1:]))})"
        )
