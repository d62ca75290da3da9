"""U-Nets that draw a mask on a magnitude spectrogram, plain, recurrent and variational.

The body is that of [Jansson2017]: an encoder thins the spectrogram five times, a decoder draws the
mask from its descriptions at all levels. In the middle, where one value describes 32 x 32 bins,
LSTMs may look along a whole axis, and a latent variable may be drawn.

References:
    [Jansson2017] Singing voice separation with deep U-Net convolutional networks, ISMIR 2017.
    [Kingma2014] Auto-encoding variational Bayes, ICLR 2014, arXiv:1312.6114.
"""

from typing import Literal, Unpack, overload

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave.models.blocks import (
    LEVELS,
    PLANE,
    BinAffine,
    Decoder,
    Encoder,
    Latent,
    MaskActivation,
    Recurrence,
    check_map,
)
from unweave.models.settings import (
    MaskRecurrentWords,
    MaskWords,
    NetSettings,
    only,
    spelled_out,
)


@spelled_out(MaskWords)
class SpectrogramNetSimple(nn.Module):
    """Draw a mask on a magnitude spectrogram with a U-Net.

    7.8 million parameters at the defaults; auralflow's documents say 7.9. Nothing but the trained
    normalisations depends on `num_fft_bins`, and nothing on `num_frames`.

    Args:
        num_fft_bins: Frequencies of a spectrogram, n_fft / 2 + 1 if none are left out.
        num_frames: Frames that one is trained on; any number of them is accepted.
        num_channels: Audio channels, 1 for mono and 2 for stereo.
        hidden_channels: Channels of the first level; each level below has twice as many.
        mask_act_fn: What makes the mask: "sigmoid", "softmax" (over the source and the rest, the
            same), or, clamped to [0, 1], "relu", "hardtanh", "tanh", "prelu", "selu", "elu".
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder.
        normalize_input: Whether to learn an offset and a scale of each frequency that enters.
        normalize_output: Whether to learn those of each frequency of the mask, before its
            activation.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, num_fft_bins, frames) in and out

    Example:
        >>> net = SpectrogramNetSimple(num_fft_bins=65, num_frames=20, hidden_channels=2).eval()
        >>> mix_spec = torch.rand(3, 1, 65, 21)
        >>> source_mask = net(mix_spec)
        >>> (source_mask * mix_spec).shape
        torch.Size([3, 1, 65, 21])

    References:
        [Jansson2017]
    """

    def __init__(
        self,
        num_fft_bins: int,
        num_frames: int,
        num_channels: int = 1,
        **options: Unpack[MaskWords],
    ) -> None:
        super().__init__()
        settings = NetSettings.of(MaskWords, options)
        self.num_fft_bins = positive_int("num_fft_bins", num_fft_bins)
        self.num_frames = positive_int("num_frames", num_frames)
        self.num_channels = positive_int("num_channels", num_channels)
        self.enter = BinAffine(num_fft_bins) if settings.normalize_input else nn.Identity()
        self.encoder = Encoder(num_channels, PLANE, settings)
        self.decoder = Decoder(num_channels, PLANE, settings)
        self.leave = BinAffine(num_fft_bins) if settings.normalize_output else nn.Identity()
        self.activation = MaskActivation(settings.mask_act_fn)
        if not self.activation.smooth and self.decoder.leave.bias is not None:
            nn.init.constant_(self.decoder.leave.bias, 0.5)  # where the clamp has a gradient

    def forward(self, x: Tensor) -> Tensor:
        """Draw the mask of a spectrogram.

        Args:
            x: Magnitudes.

        Returns:
            The source's share of each, in [0, 1].
        """
        hidden, maps = self._encoded(x)
        return self._drawn(self._middle(hidden), maps)

    def _encoded(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        check_map(x, "batch, channels, freq, frames", self.num_channels, self.num_fft_bins, -1)
        hidden, maps = self.encoder(self.enter(x))
        return hidden, maps

    def _middle(self, hidden: Tensor) -> Tensor:
        return hidden

    def _drawn(self, hidden: Tensor, maps: list[Tensor]) -> Tensor:
        mask: Tensor = self.activation(self.leave(self.decoder(hidden, maps)))
        return mask


@spelled_out(MaskRecurrentWords)
class SpectrogramNetLSTM(SpectrogramNetSimple):
    """Draw a mask with a U-Net that has LSTMs in both directions in its middle.

    33.0 million parameters at the defaults with 1024 frequencies; auralflow's documents say 32.3,
    its last release had 89.7. `hidden_size` counts both directions here, as in Open-Unmix, and a
    step of the sequence is squeezed to twice as many numbers before it enters.

    Args:
        num_fft_bins: Frequencies of a spectrogram.
        num_frames: Frames that are features together with `input_axis=1`: more of them are taken
            in groups of as many.
        num_channels: Audio channels.
        hidden_channels: Channels of the first level; each level below has twice as many.
        mask_act_fn: What makes the mask; see `SpectrogramNetSimple`.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder, and
            a value between recurrent layers.
        normalize_input: Whether to learn an offset and a scale of each frequency that enters.
        normalize_output: Whether to learn those of each frequency of the mask.
        recurrent_depth: Number of stacked LSTMs.
        hidden_size: Features of each, half of them in each direction.
        input_axis: Which axis is the features: 0 for frequency, so that the LSTM runs along time,
            or 1 for time, so that it runs along frequency. (auralflow's documents give both as
            the default, its signatures 0.)

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, num_fft_bins, frames) in and out

    Example:
        >>> net = SpectrogramNetLSTM(65, 20, hidden_channels=2, hidden_size=8, input_axis=1)
        >>> net.eval()(torch.rand(3, 1, 65, 50)).shape
        torch.Size([3, 1, 65, 50])
    """

    def __init__(
        self,
        num_fft_bins: int,
        num_frames: int,
        num_channels: int = 1,
        **options: Unpack[MaskRecurrentWords],
    ) -> None:
        settings = NetSettings.of(MaskRecurrentWords, options)
        super().__init__(num_fft_bins, num_frames, num_channels, **only(MaskWords, options))
        self.input_axis = settings.input_axis
        features = num_frames if settings.input_axis else num_fft_bins
        self.width = -(-features // PLANE.step**LEVELS)
        channels = settings.hidden_channels << LEVELS
        self.recurrence = Recurrence(channels, self.width, settings)

    def _middle(self, hidden: Tensor) -> Tensor:
        if self.input_axis == 0:
            run: Tensor = self.recurrence(hidden)
            return run
        # Groups of frames are sequences of their own, as if they were items of the batch.
        frames = hidden.shape[-1]
        groups = -(-frames // self.width)
        filled = pad(hidden, (0, groups * self.width - frames))
        sequences = filled.unfold(-1, self.width, self.width).permute(0, 3, 1, 4, 2).flatten(0, 1)
        run = torch.unflatten(self.recurrence(sequences), 0, (-1, groups))
        return run.permute(0, 2, 4, 1, 3).flatten(-2).narrow(-1, 0, frames)


@spelled_out(MaskRecurrentWords)
class SpectrogramNetVAE(SpectrogramNetLSTM):
    """Draw a mask with a U-Net whose middle is a Gaussian latent variable, then LSTMs.

    40.1 million parameters at the defaults with 1024 frequencies; auralflow's documents say 40, its
    last release had 93.0. In evaluation the latent variable is its mean: the same spectrogram has
    always the same mask.

    Args:
        num_fft_bins: Frequencies of a spectrogram.
        num_frames: Frames that are features together with `input_axis=1`.
        num_channels: Audio channels.
        hidden_channels: Channels of the first level; each level below has twice as many.
        mask_act_fn: What makes the mask; see `SpectrogramNetSimple`.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder, and
            a value between recurrent layers.
        normalize_input: Whether to learn an offset and a scale of each frequency that enters.
        normalize_output: Whether to learn those of each frequency of the mask.
        recurrent_depth: Number of stacked LSTMs.
        hidden_size: Features of each, half of them in each direction.
        input_axis: Which axis is the features: 0 for frequency, or 1 for time.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, num_fft_bins, frames) in and out

    Example:
        >>> net = SpectrogramNetVAE(65, 20, hidden_channels=2, hidden_size=8)
        >>> mask, mu, sigma = net(torch.rand(3, 1, 65, 50), return_latent=True)
        >>> mask.shape, mu.shape == sigma.shape
        (torch.Size([3, 1, 65, 50]), True)

    References:
        [Kingma2014]
    """

    def __init__(
        self,
        num_fft_bins: int,
        num_frames: int,
        num_channels: int = 1,
        **options: Unpack[MaskRecurrentWords],
    ) -> None:
        super().__init__(num_fft_bins, num_frames, num_channels, **options)
        settings = NetSettings.of(MaskRecurrentWords, options)
        self.latent = Latent(PLANE, settings.hidden_channels << LEVELS)

    @overload
    def forward(self, x: Tensor, *, return_latent: Literal[False] = ...) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, *, return_latent: Literal[True]
    ) -> tuple[Tensor, Tensor, Tensor]: ...
    def forward(
        self, x: Tensor, *, return_latent: bool = False
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Draw the mask of a spectrogram.

        Args:
            x: Magnitudes.
            return_latent: Whether to return mu and sigma too, for the Kullback-Leibler term of
                the loss.

        Returns:
            The source's share of each magnitude, in [0, 1]; with `return_latent` the mask, mu and
            sigma.
        """
        hidden, maps = self._encoded(x)
        z, mu, sigma = self.latent(hidden)
        mask = self._drawn(self._middle(z), maps)
        return (mask, mu, sigma) if return_latent else mask
