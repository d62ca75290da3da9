"""Open-Unmix: three LSTMs over the frames of a spectrogram [Stoter2019].

The state dict has the names and shapes of the published one, so that weights of it (umx, umxhq,
umxl) fit once they are stored as safetensors.

References:
    [Stoter2019] Open-Unmix: a reference implementation for music source separation, Journal of
        Open Source Software 4(41), 2019.
"""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave.errors import ParameterError, WeightsError
from unweave.models.blocks import check_map


class OpenUnmix(nn.Module):
    """Estimate the magnitudes of one source in a spectrogram.

    8.89 million parameters at the defaults, which are those of the published umxhq.

    Args:
        nb_bins: Frequencies of a spectrogram, n_fft / 2 + 1.
        nb_channels: Audio channels.
        hidden_size: Features between the layers.
        nb_layers: Number of stacked LSTMs.
        unidirectional: Whether they run forwards only, so that no frame hears of later ones.
        max_bin: Frequencies that are looked at, the lowest ones; all of them if None. 1487 of 2049
            reach to 16 kHz at 44.1 kHz.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, nb_channels, nb_bins, frames) in and out

    Example:
        >>> net = OpenUnmix(nb_bins=65, max_bin=50, hidden_size=8).eval()
        >>> net(torch.rand(3, 2, 65, 20)).shape
        torch.Size([3, 2, 65, 20])

    References:
        [Stoter2019]
    """

    def __init__(
        self,
        nb_bins: int = 2049,
        nb_channels: int = 2,
        hidden_size: int = 512,
        nb_layers: int = 3,
        unidirectional: bool = False,
        max_bin: int | None = 1487,
    ) -> None:
        super().__init__()
        self.nb_output_bins = positive_int("nb_bins", nb_bins)
        self.nb_channels = positive_int("nb_channels", nb_channels)
        self.hidden_size = positive_int("hidden_size", hidden_size)
        self.nb_bins = (
            nb_bins if max_bin is None else min(positive_int("max_bin", max_bin), nb_bins)
        )
        if hidden_size % 2 and not unidirectional:
            raise ParameterError(
                f"hidden_size={hidden_size} must be even: half of it runs each way"
            )
        outputs = self.nb_output_bins * nb_channels
        self.fc1 = nn.Linear(self.nb_bins * nb_channels, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size if unidirectional else hidden_size // 2,
            num_layers=positive_int("nb_layers", nb_layers),
            bidirectional=not unidirectional,
            dropout=0.4 if nb_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, outputs, bias=False)
        self.bn3 = nn.BatchNorm1d(outputs)
        self.input_mean = nn.Parameter(torch.zeros(self.nb_bins))
        self.input_scale = nn.Parameter(torch.ones(self.nb_bins))
        self.output_scale = nn.Parameter(torch.ones(self.nb_output_bins))
        self.output_mean = nn.Parameter(torch.ones(self.nb_output_bins))

    def forward(self, x: Tensor) -> Tensor:
        """Estimate the magnitudes of the source.

        Args:
            x: Magnitudes of the mixture.

        Returns:
            Those of the source: `mask` times the mixture's.
        """
        return self.mask(x) * x

    def mask(self, x: Tensor) -> Tensor:
        """Estimate the source's share of the magnitudes.

        Args:
            x: Magnitudes of the mixture.

        Returns:
            The shares; at least 0, and above 1 where the source is louder than the mixture.
        """
        check_map(x, "batch, channels, freq, frames", self.nb_channels, self.nb_output_bins, -1)
        batch, frames = x.shape[0], x.shape[3]
        seen = x[:, :, : self.nb_bins].permute(3, 0, 1, 2)
        seen = (seen + self.input_mean) * self.input_scale
        # Statistics are over all frames of all items: normalisation wants one axis for them.
        narrow = torch.tanh(self.bn1(self.fc1(seen.reshape(frames * batch, -1))))
        heard, _ = self.lstm(torch.unflatten(narrow, 0, (frames, batch)))
        both = torch.cat((narrow, heard.flatten(0, 1)), -1)
        wide = self.bn3(self.fc3(torch.relu(self.bn2(self.fc2(both)))))
        shares = torch.unflatten(wide, -1, (self.nb_channels, self.nb_output_bins))
        shares = torch.relu(shares * self.output_scale + self.output_mean)
        return torch.unflatten(shares, 0, (frames, batch)).permute(1, 2, 3, 0)

    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Start from the statistics of the training data.

        Args:
            mean: Of the magnitudes of each frequency.
            scale: Their standard deviation; positive.

        Raises:
            ParameterError: There are fewer frequencies than the network looks at.

        Shape:
            mean, scale: (freq,); what the network does not look at is left out
        """
        for name, given in (("mean", mean), ("scale", scale)):
            if given.ndim != 1 or given.shape[0] < self.nb_bins:
                raise ParameterError(
                    f"{name} has shape {tuple(given.shape)}: at least ({self.nb_bins},) is expected"
                )
        with torch.no_grad():
            self.input_mean.copy_(-mean[: self.nb_bins])
            self.input_scale.copy_(1 / scale[: self.nb_bins])

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """Build the network that a published state dict belongs to.

        Args:
            state: Tensors by name. Those of the transforms, which are stored beside the network's
                (`sample_rate`, `stft...`, `transform...`), are left out.

        Returns:
            The network in evaluation mode, with these weights.

        Raises:
            WeightsError: The tensors are not those of an Open-Unmix.

        Example:
            >>> net = OpenUnmix(nb_bins=65, max_bin=50, hidden_size=8, nb_layers=2)
            >>> OpenUnmix.from_state(net.state_dict()).nb_bins
            50
        """
        foreign = ("sample_rate", "stft", "transform")
        own = {name: value for name, value in state.items() if not name.startswith(foreign)}
        try:
            bins, hidden = own["output_mean"].shape[0], own["fc1.weight"].shape[0]
            layers = sum(name.startswith("lstm.weight_hh") for name in own)
            both = any(name.endswith("_reverse") for name in own)
            net = cls(
                nb_bins=bins,
                nb_channels=own["bn3.weight"].shape[0] // bins,
                hidden_size=hidden,
                nb_layers=layers // 2 if both else layers,
                unidirectional=not both,
                max_bin=own["input_mean"].shape[0],
            )
            net.load_state_dict(own)
        except (LookupError, ZeroDivisionError, RuntimeError, ParameterError) as error:
            raise WeightsError(
                f"the tensors are not those of an Open-Unmix ({error}): a state dict of one target,"
                " such as umxhq's vocals, is expected"
            ) from error
        return net.eval()
