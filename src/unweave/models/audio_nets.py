"""U-Nets that estimate a source's waveform, plain, recurrent and variational.

The body is that of the spectrogram networks laid along time, in the manner of [Stoller2018]: a
kernel of 3 x 3 becomes one of 9 samples, a step of 2 x 2 one of 4, so that both families have as
many parameters. In the middle one value describes 1024 samples.

References:
    [Stoller2018] Wave-U-Net: a multi-scale neural network for end-to-end audio source separation,
        ISMIR 2018.
    [Kingma2014] Auto-encoding variational Bayes, ICLR 2014, arXiv:1312.6114.
"""

from typing import Literal, Unpack, overload

import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave.models.blocks import LEVELS, LINE, Decoder, Encoder, Latent, Recurrence, check_map
from unweave.models.settings import NetSettings, NetWords, RecurrentWords, only, spelled_out


@spelled_out(NetWords)
class AudioNetSimple(nn.Module):
    """Estimate a source's waveform with a U-Net.

    8.1 million parameters at the defaults; auralflow's documents say 7.9 (no code of it was ever
    published). The difference is in the trained steps from level to level: maxima, as spectrograms
    are thinned by, know nothing of signs.

    Args:
        num_channels: Audio channels, 1 for mono and 2 for stereo.
        hidden_channels: Channels of the first level; each level below has twice as many.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder.
        normalize_input: Whether to divide each item by its level (root mean square), scale its
            channels by trained factors, and multiply the estimate by the level, so that the
            level of the input does not matter.
        normalize_output: Whether to learn a factor of each channel of the estimate.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, time) in and out

    Example:
        >>> net = AudioNetSimple(hidden_channels=2).eval()
        >>> net(torch.zeros(3, 1, 5001)).shape
        torch.Size([3, 1, 5001])

    References:
        [Stoller2018]
    """

    def __init__(self, num_channels: int = 1, **options: Unpack[NetWords]) -> None:
        super().__init__()
        settings = NetSettings.of(NetWords, options)
        self.num_channels = positive_int("num_channels", num_channels)
        self.normalize_input = settings.normalize_input
        self.enter = Gain(num_channels) if settings.normalize_input else nn.Identity()
        self.encoder = Encoder(num_channels, LINE, settings)
        self.decoder = Decoder(num_channels, LINE, settings)
        self.leave = Gain(num_channels) if settings.normalize_output else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Estimate the waveform of a source.

        Args:
            x: Samples of the mixture.

        Returns:
            Samples of the source.
        """
        level = self._level(x)
        hidden, maps = self.encoder(self.enter(x / level))
        return self._drawn(self._middle(hidden), maps) * level

    def _level(self, x: Tensor) -> Tensor:
        check_map(x, "batch, channels, time", self.num_channels, -1)
        if not self.normalize_input:
            return x.new_ones(())
        power = x.float().square().mean((1, 2), keepdim=True)
        return power.clamp_min(1e-16).sqrt().to(x.dtype)

    def _middle(self, hidden: Tensor) -> Tensor:
        return hidden

    def _drawn(self, hidden: Tensor, maps: list[Tensor]) -> Tensor:
        estimate: Tensor = self.leave(self.decoder(hidden, maps))
        return estimate


@spelled_out(RecurrentWords)
class AudioNetLSTM(AudioNetSimple):
    """Estimate a source's waveform with a U-Net that has LSTMs along time in its middle.

    32.8 million parameters at the defaults; auralflow's documents say 32.3 of what they call
    AudioNetSimpleLSTM (no code of it was ever published).

    Args:
        num_channels: Audio channels.
        hidden_channels: Channels of the first level; each level below has twice as many.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder, and
            a value between recurrent layers.
        normalize_input: Whether the level of the input does not matter; see `AudioNetSimple`.
        normalize_output: Whether to learn a factor of each channel of the estimate.
        recurrent_depth: Number of stacked LSTMs.
        hidden_size: Features of each, half of them in each direction.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, time) in and out

    Example:
        >>> net = AudioNetLSTM(num_channels=2, hidden_channels=2, hidden_size=8).eval()
        >>> net(torch.zeros(3, 2, 5001)).shape
        torch.Size([3, 2, 5001])
    """

    def __init__(self, num_channels: int = 1, **options: Unpack[RecurrentWords]) -> None:
        settings = NetSettings.of(RecurrentWords, options)
        super().__init__(num_channels, **only(NetWords, options))
        self.recurrence = Recurrence(settings.hidden_channels << LEVELS, 1, settings)

    def _middle(self, hidden: Tensor) -> Tensor:
        run: Tensor = self.recurrence(hidden[:, :, None])
        return run[:, :, 0]


@spelled_out(RecurrentWords)
class AudioNetVAE(AudioNetLSTM):
    """Estimate a source's waveform with a U-Net whose middle is a latent variable, then LSTMs.

    39.9 million parameters at the defaults; auralflow's documents say 40 (no code of it was ever
    published). In evaluation the latent variable is its mean: the same mixture has always the same
    estimate.

    Args:
        num_channels: Audio channels.
        hidden_channels: Channels of the first level; each level below has twice as many.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder, and
            a value between recurrent layers.
        normalize_input: Whether the level of the input does not matter; see `AudioNetSimple`.
        normalize_output: Whether to learn a factor of each channel of the estimate.
        recurrent_depth: Number of stacked LSTMs.
        hidden_size: Features of each, half of them in each direction.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, time) in and out

    Example:
        >>> net = AudioNetVAE(hidden_channels=2, hidden_size=8)
        >>> estimate, mu, sigma = net(torch.zeros(3, 1, 5001), return_latent=True)
        >>> estimate.shape, mu.shape
        (torch.Size([3, 1, 5001]), torch.Size([3, 64, 5]))

    References:
        [Kingma2014]
    """

    def __init__(self, num_channels: int = 1, **options: Unpack[RecurrentWords]) -> None:
        super().__init__(num_channels, **options)
        settings = NetSettings.of(RecurrentWords, options)
        self.latent = Latent(LINE, settings.hidden_channels << LEVELS)

    @overload
    def forward(self, x: Tensor, *, return_latent: Literal[False] = ...) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, *, return_latent: Literal[True]
    ) -> tuple[Tensor, Tensor, Tensor]: ...
    def forward(
        self, x: Tensor, *, return_latent: bool = False
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Estimate the waveform of a source.

        Args:
            x: Samples of the mixture.
            return_latent: Whether to return mu and sigma too, for the Kullback-Leibler term of
                the loss.

        Returns:
            Samples of the source; with `return_latent` these, mu and sigma.
        """
        level = self._level(x)
        hidden, maps = self.encoder(self.enter(x / level))
        z, mu, sigma = self.latent(hidden)
        estimate = self._drawn(self._middle(z), maps) * level
        return (estimate, mu, sigma) if return_latent else estimate


class Gain(nn.Module):
    """Multiply each channel by a trained factor.

    Args:
        channels: Their number.

    Shape:
        (batch, channels, time) in and out
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale.

        Args:
            x: Samples.

        Returns:
            Samples.
        """
        return x * self.factor
