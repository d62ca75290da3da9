"""What the U-Nets of spectrograms and of waveforms are made of."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave.errors import ParameterError
from unweave.models.settings import NetSettings

LEVELS = 5


@dataclass(frozen=True, slots=True)
class Family:
    """Layers of one or of two dimensions.

    A kernel of 3 x 3 becomes one of 9, a step of 2 x 2 one of 4: both families have as many
    weights, and as many values at each level.

    Attributes:
        convolution: The class of convolutions.
        transposed: The class of those that restore resolution.
        norm: The class of batch normalisation.
        dropout: The class that drops whole channels.
        kernel: Size of a kernel along each axis.
        step: How much coarser each level is along each axis.
    """

    convolution: type[nn.Conv1d] | type[nn.Conv2d]
    transposed: type[nn.ConvTranspose1d] | type[nn.ConvTranspose2d]
    norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]
    dropout: type[nn.Dropout1d] | type[nn.Dropout2d]
    kernel: int
    step: int


PLANE = Family(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Dropout2d, kernel=3, step=2)
LINE = Family(nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.Dropout1d, kernel=9, step=4)


def nonlinearity(leak_factor: float) -> nn.Module:
    """Give leaky ReLU, or SELU where nothing leaks.

    Args:
        leak_factor: Slope below 0.

    Returns:
        The layer.
    """
    return nn.LeakyReLU(leak_factor) if leak_factor > 0 else nn.SELU()


def convolutions(family: Family, inputs: int, outputs: int, leak_factor: float) -> nn.Sequential:
    """Give two convolutions, each normalised and bent.

    Args:
        family: Of the layers.
        inputs: Channels in.
        outputs: Channels out.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.

    Returns:
        The layers; they keep the size of a map.
    """
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            family.convolution(
                channels, outputs, family.kernel, padding=family.kernel // 2, bias=False
            ),
            family.norm(outputs),
            nonlinearity(leak_factor),
        ]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Describe a map at five levels, each coarser than the one before, and below them.

    Sizes that are no multiple of a step are rounded up, so that a map of any size has its place
    at each level. Spectrograms are thinned by their maxima; waveforms, whose signs matter, by
    trained convolutions.

    Args:
        inputs: Channels of the map.
        family: Of the layers.
        settings: The network's.

    Shape:
        (batch, inputs, *size) -> (batch, 32 * hidden_channels, *size / step**5) and five maps
    """

    def __init__(self, inputs: int, family: Family, settings: NetSettings) -> None:
        super().__init__()
        widths = [settings.hidden_channels << level for level in range(LEVELS + 1)]
        leak, step = settings.leak_factor, family.step
        self.step = step
        self.levels = nn.ModuleList(
            convolutions(family, before, width, leak)
            for before, width in zip([inputs, *widths], widths[:-1], strict=False)
        )
        self.down = nn.ModuleList(
            nn.MaxPool2d(step, ceil_mode=True)
            if family is PLANE
            else family.convolution(width, width, step, stride=step)
            for width in widths[:-1]
        )
        self.middle = convolutions(family, widths[-2], widths[-1], leak)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Describe a map.

        Args:
            x: The map.

        Returns:
            Its coarsest description, and those of the levels, finest first.
        """
        maps = []
        for level, down in zip(self.levels, self.down, strict=True):
            x = level(x)
            maps.append(x)
            if isinstance(down, nn.Conv1d):
                x = pad(x, (0, -x.shape[-1] % self.step))
            x = down(x)
        return self.middle(x), maps


class Decoder(nn.Module):
    """Draw a map from its descriptions at all levels.

    Args:
        outputs: Channels of the map.
        family: Of the layers.
        settings: The network's.

    Shape:
        as `Encoder` gives them -> (batch, outputs, *size)
    """

    def __init__(self, outputs: int, family: Family, settings: NetSettings) -> None:
        super().__init__()
        widths = [settings.hidden_channels << level for level in range(LEVELS)]
        step = family.step
        self.up = nn.ModuleList(
            family.transposed(2 * width, width, step, stride=step) for width in widths
        )
        self.levels = nn.ModuleList(
            nn.Sequential(
                convolutions(family, 2 * width, width, settings.leak_factor),
                family.dropout(settings.dropout_p if level >= LEVELS - 3 else 0.0),
            )
            for level, width in enumerate(widths)
        )
        self.leave = family.convolution(widths[0], outputs, 1)

    def forward(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        """Draw a map.

        Args:
            x: Its coarsest description.
            maps: Those of the levels, finest first.

        Returns:
            The map.
        """
        for up, level, finer in zip(
            reversed(self.up), reversed(self.levels), reversed(maps), strict=True
        ):
            x = cropped(up(x), finer)
            x = level(torch.cat((x, finer), 1))
        drawn: Tensor = self.leave(x)
        return drawn


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """Cut the ends of all but the first two axes to the size of another map.

    Args:
        x: A map at least as large.
        like: The other one.

    Returns:
        A view.
    """
    for axis in range(2, x.ndim):
        x = x.narrow(axis, 0, like.shape[axis])
    return x


class Recurrence(nn.Module):
    """Add to a map what LSTMs in both directions make of it along its last axis.

    The items of a batch are sequences of their own: none hears of another. A step of the sequence
    is all the channels and places of the other axis, about twice `hidden_size` numbers.

    Args:
        channels: Of the map.
        width: Places of the axis that the sequence does not run along.
        settings: The network's.

    Shape:
        (batch, channels, width, length) in and out
    """

    def __init__(self, channels: int, width: int, settings: NetSettings) -> None:
        super().__init__()
        hidden, depth = settings.hidden_size, settings.recurrent_depth
        inner = max(1, round(2 * hidden / width))
        if width > 1:  # a description of many places is squeezed, never blown up
            inner = min(inner, channels)
        outer = min(inner, channels)
        self.enter = nn.Conv2d(channels, inner, 1)
        self.lstm = nn.LSTM(
            inner * width,
            hidden // 2,
            num_layers=depth,
            batch_first=True,
            bidirectional=True,
            dropout=settings.dropout_p if depth > 1 else 0.0,
        )
        self.dense = nn.Linear(hidden, outer * width)
        self.leave = nn.Identity() if outer == channels else nn.Conv2d(outer, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what came before and what comes after.

        Args:
            x: The map.

        Returns:
            The richer map.
        """
        steps = self.enter(x).flatten(1, 2).transpose(1, 2)
        made: Tensor = self.dense(self.lstm(steps)[0]).transpose(1, 2)
        added: Tensor = self.leave(torch.unflatten(made, 1, (-1, x.shape[2])))
        return x + added


class Latent(nn.Module):
    """Draw a map from a Gaussian distribution that depends on the map given.

    While training, z = mu + sigma * noise [Kingma2014]; in evaluation z = mu, so that the same
    input has always the same answer.

    Args:
        family: Of the layers.
        channels: Of the map and of the latent variable.

    Shape:
        (batch, channels, *size) -> three of the same shape

    References:
        [Kingma2014] Auto-encoding variational Bayes, ICLR 2014, arXiv:1312.6114.
    """

    def __init__(self, family: Family, channels: int) -> None:
        super().__init__()
        kernel, margin = family.kernel, family.kernel // 2
        self.mu = family.convolution(channels, channels, kernel, padding=margin)
        self.log_sigma = family.convolution(channels, channels, kernel, padding=margin)
        self.leave = family.convolution(channels, channels, kernel, padding=margin)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a map.

        Args:
            x: The map given.

        Returns:
            The map drawn, and mu and sigma of the latent variable.
        """
        mu: Tensor = self.mu(x)
        # Within e**-10 ... e**10 neither sigma nor its logarithm leaves half precision.
        sigma = self.log_sigma(x).clamp(-10, 10).exp()
        z = mu + sigma * torch.randn_like(mu) if self.training else mu
        return self.leave(z), mu, sigma


class BinAffine(nn.Module):
    """Add a trained offset to every bin and multiply it by a trained scale.

    Args:
        bins: Length of the frequency axis.

    Shape:
        (..., bins, frames) in and out
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(bins, 1))
        self.scale = nn.Parameter(torch.ones(bins, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Shift and scale.

        Args:
            x: A spectrogram.

        Returns:
            One of the same shape.
        """
        return (x + self.offset) * self.scale


class MaskActivation(nn.Module):
    """Bring values into the range of a mask, [0, 1].

    "sigmoid" is never quite 0 or 1 and always has a gradient: the one to choose. "softmax" is over
    the source and the rest, whose logit is 0, and so the same. All others ("relu", "hardtanh",
    "tanh", "prelu", "selu", "elu") are clamped to [0, 1], and have no gradient where they leave it.

    Args:
        name: One of these.

    Shape:
        (...) in and out
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        kinds: dict[str, type[nn.Module]] = {
            "relu": nn.ReLU,
            "hardtanh": nn.Hardtanh,
            "tanh": nn.Tanh,
            "prelu": nn.PReLU,
            "selu": nn.SELU,
            "elu": nn.ELU,
        }
        self.smooth = name not in kinds
        self.bend = kinds.get(name, nn.Sigmoid)()

    def forward(self, x: Tensor) -> Tensor:
        """Make a mask.

        Args:
            x: Any values.

        Returns:
            Values in [0, 1].
        """
        bent: Tensor = self.bend(x)
        return bent if self.smooth else bent.clamp(0, 1)


def check_map(x: Tensor, axes: str, *sizes: int) -> None:
    """Refuse a tensor whose axes are not those expected.

    Args:
        x: What was given.
        axes: Their names, for the error.
        *sizes: Those of the axes after the first; -1 is any.

    Raises:
        ParameterError: The shape does not fit.
    """
    fits = x.ndim == len(sizes) + 1 and x.is_floating_point()
    if fits:
        fits = all(size in (-1, n) for n, size in zip(x.shape[1:], sizes, strict=True))
    if not fits:
        wanted = ", ".join("any" if size < 0 else str(size) for size in sizes)
        raise ParameterError(
            f"the network was given {tuple(x.shape)} of {x.dtype}: floating ({axes}) with sizes"
            f" (any, {wanted}) is expected"
        )
