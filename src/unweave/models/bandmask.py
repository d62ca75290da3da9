"""The shipped separator: a small convolutional network that draws masks on frequency bands.

The mixture's spectrogram is summed into 195 bands of middle and side; the network sees only these
log energies and, where it has a U-Net to ask, what share of each band that takes for voice. It
answers with one mask a source, band and frame for the middle and one for the side. The masks of
all sources sum to one, so the stems sum to the mixture. The body is a U-Net of TFC-TDF blocks
[Choi2020, Kim2023]: convolutions over time and frequency, and fully connected layers along
frequency, which see a whole harmonic series at once.

References:
    [Choi2020] W. Choi et al., "Investigating U-Nets with various intermediate blocks for
        spectrogram-based singing voice separation", ISMIR 2020.
    [Kim2023] M. Kim, J. H. Lee, S. Jung, "Sound demixing challenge 2023: music demixing track,
        TFC-TDF-UNet v3", arXiv:2306.09382.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from unweave.models.bands import band_edges, band_index, band_matrix
from unweave.models.voice_unet import BINS as VOICE_BINS
from unweave.models.voice_unet import FRAMES as VOICE_FRAMES
from unweave.models.voice_unet import VoiceUNet
from unweave.transforms.stft import istft, stft

N_FFT = 4096
HOP_LENGTH = 1024
_LOUD = 2e5  # energy of a frame's bins at -12 dBFS, about the level of records
_LEAST = 1e-6  # share of every stem in what is not voice, so that nothing is lost
_EDGE = 64  # highest bins of the voice's mask, whose mean stands for all above them


class TimeFrequencyBlock(nn.Module):
    """Two convolutions with a fully connected layer along frequency between them.

    Args:
        channels: of input and output.
        bands: length of the frequency axis.
        bottleneck: width of the hidden layer along frequency, in fractions of `bands`.
        dropout: probability of dropping a whole channel while training.

    Shape:
        (batch, channels, frames, bands) in and out.
    """

    def __init__(self, channels: int, bands: int, *, bottleneck: float, dropout: float) -> None:
        super().__init__()
        hidden = max(8, round(bands * bottleneck))
        self.first = _convolution(channels)
        self.along_frequency = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.GELU(),
            nn.Linear(bands, hidden, bias=False),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            nn.Linear(hidden, bands, bias=False),
        )
        self.dropout = nn.Dropout2d(dropout)
        self.second = _convolution(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map."""
        y: Tensor = self.first(x)
        y = y + self.along_frequency(y)
        y = self.second(self.dropout(y))
        return x + y


def _convolution(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.GELU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
    )


class BandUNet(nn.Module):
    """U-Net of `TimeFrequencyBlock`s, with a recurrent layer over time at its narrowest place.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        bands: length of the frequency axis; a multiple of 4.
        widths: channels at full, half and quarter resolution.
        recurrent: hidden size of the recurrent layer, each way.
        dropout: probability within blocks and before the recurrent layer.

    Shape:
        (batch, inputs, frames, bands) -> (batch, outputs, frames, bands), frames a multiple of 4.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bands: int,
        widths: Sequence[int],
        recurrent: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = [bands, bands // 2, bands // 4]

        def block(level: int) -> TimeFrequencyBlock:
            return TimeFrequencyBlock(widths[level], sizes[level], bottleneck=0.25, dropout=dropout)

        self.enter = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList([block(0), block(1)])
        self.down = nn.ModuleList([nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in (0, 1)])
        self.middle = nn.ModuleList([block(2), block(2)])
        self.recurrent = Recurrent(widths[2], sizes[2], hidden=recurrent, dropout=dropout)
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for i in (0, 1)]
        )
        self.decoders = nn.ModuleList([block(0), block(1)])
        self.leave = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features to logits."""
        x = self.enter(x)
        skips = []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle[1](self.recurrent(self.middle[0](x)))
        for level in (1, 0):
            x = self.decoders[level](self.up[level](x) + skips[level])
        logits: Tensor = self.leave(x)
        return logits


class Recurrent(nn.Module):
    """Bidirectional GRU over time, added to its input.

    Args:
        channels: of input and output.
        bands: length of the frequency axis.
        hidden: size each way.
        dropout: probability before and after the GRU.

    Shape:
        (batch, channels, frames, bands) in and out.
    """

    def __init__(self, channels: int, bands: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(channels * bands, hidden), nn.LayerNorm(hidden))
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.leave = nn.Linear(2 * hidden, channels * bands)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map."""
        flat = x.transpose(1, 2).flatten(2)
        y, _ = self.gru(self.dropout(self.enter(flat)))
        y = self.leave(self.dropout(y)).unflatten(2, (x.shape[1], x.shape[3]))
        out: Tensor = x + y.transpose(1, 2)
        return out


class BandMasker(nn.Module):
    """Turn the band energies of a mixture into masks.

    Args:
        sources: number of stems.
        bands: number of bands.
        widths: channels of the U-Net at full, half and quarter resolution.
        recurrent: hidden size of the recurrent layer over time.
        dropout: while training.
        hints: whether it is told, too, what share of each band is taken for voice.

    Attributes:
        mean: of every band's log energy over the training mixtures.
        scale: what brings it to a standard deviation of one.

    Shape:
        (batch, 2, frames, bands) -> (batch, sources, 2, frames, bands)
    """

    def __init__(
        self,
        sources: int,
        bands: int,
        *,
        widths: Sequence[int],
        recurrent: int,
        dropout: float,
        hints: bool = False,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(2, 1, bands))
        self.register_buffer("scale", torch.ones(2, 1, bands))
        self.body = BandUNet(
            4 if hints else 2,
            2 * sources,
            bands=bands + -bands % 4,
            widths=widths,
            recurrent=recurrent,
            dropout=dropout,
        )

    def features(self, energies: Tensor) -> Tensor:
        """Return normalised log energies: independent of the level of the mixture.

        Args:
            energies: of middle and side.
        """
        level = energies.sum((1, 3), keepdim=True).mean(2, keepdim=True)
        logs = torch.log10(energies / (level + 1e-20) + 1e-9)
        return (logs - self.mean) * self.scale

    def forward(self, energies: Tensor, hints: Tensor | None = None) -> Tensor:
        """Return the share of every source in every band: between 0 and 1, summing to 1.

        Args:
            energies: of middle and side.
            hints: shares of the voice, of the same shape, where the network wants them.
        """
        frames, bands = energies.shape[2:]
        x = self.features(energies)
        x = x if hints is None else torch.cat((x, 2 * hints - 1), 1)
        x = functional.pad(x, (0, -bands % 4, 0, -frames % 4))
        x = x.to(next(self.body.parameters()).dtype)
        logits = self.body(x)[:, :, :frames, :bands].float()
        shares: Tensor = logits.unflatten(1, (self.sources, 2)).softmax(1)
        return shares


class BandMaskNet(nn.Module):
    """Separate a stereo mixture by masks on the bands of its middle and side.

    Args:
        sources: names of the stems.
        widths: channels of the U-Net at full, half and quarter resolution.
        recurrent: hidden size of the recurrent layer over time.
        dropout: while training.
        members: networks of the same shape, trained apart, whose masks are averaged.
        voice: whether a `VoiceUNet` tells the members what it takes for voice.
        trust: how much of the mask of "vocals" is the `VoiceUNet`'s own, from 0 to 1: it has heard
            many more voices than the members.

    Attributes:
        sample_rate: hertz.
        channels: 2; the network is stereo.
        segment: seconds that `Separator` gives it at once: 512 frames, what a `VoiceUNet` is made
            for.
        hop_length: samples between frames.

    Shape:
        (batch, 2, time) -> (batch, sources, 2, time)

    Example:
        >>> net = BandMaskNet(widths=(4, 4, 4), recurrent=8).eval()
        >>> mixture = torch.randn(1, 2, 8192)
        >>> stems = net(mixture)
        >>> stems.shape, torch.allclose(stems.sum(1), mixture, atol=1e-5)
        (torch.Size([1, 4, 2, 8192]), True)
    """

    sample_rate = 44100
    channels = 2
    segment = 511 * HOP_LENGTH / 44100
    hop_length = HOP_LENGTH

    def __init__(
        self,
        *,
        sources: Sequence[str] = ("vocals", "drums", "bass", "other"),
        widths: Sequence[int] = (16, 32, 48),
        recurrent: int = 128,
        dropout: float = 0.1,
        members: int = 1,
        voice: bool = False,
        trust: float = 0.0,
    ) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.trust = trust if voice and "vocals" in self.sources else 0.0
        edges = band_edges(N_FFT, self.sample_rate, split=450, ratio=0.022, fmax=16000)
        bins, bands = N_FFT // 2 + 1, len(edges) - 1
        self.bands_of_bins: Tensor
        self.bin_sums: Tensor
        self.register_buffer("bands_of_bins", band_index(edges, bins), persistent=False)
        self.register_buffer("bin_sums", band_matrix(edges, bins), persistent=False)
        self.voice = VoiceUNet() if voice else None
        self.members = nn.ModuleList(
            BandMasker(
                len(self.sources),
                bands,
                widths=widths,
                recurrent=recurrent,
                dropout=dropout,
                hints=voice,
            )
            for _ in range(members)
        )

    def hints(self, spec: Tensor) -> Tensor | None:
        """Return the share of the voice in every band, or None if there is no `VoiceUNet`.

        It is the factor that brings the mixture's band nearest to the voice's as the U-Net finds it
        in left and right; above 11 kHz, where that does not look, its highest bins count.

        Args:
            spec: complex spectra of middle and side, shape (batch, 2, frames, bins), bins 1024 or
                more.

        Returns:
            Shape (batch, 2, frames, bands), from 0 to 1.
        """
        if self.voice is None:
            return None
        # Of left and right, all that is asked for follows from what middle and side have alone and
        # what they have in common.
        middle, side = spec.unbind(1)
        alone = torch.view_as_real(spec).square().sum(-1)
        common = middle.real * side.real + middle.imag * side.imag
        power, twice = alone.sum(1), 2 * common
        level = power.sum(2).mean(1)[:, None, None, None]
        heard = torch.stack((power + twice, power - twice), 1)[..., :VOICE_BINS].clamp_min(0).sqrt()
        heard = heard * (_LOUD / (level + 1e-8)).sqrt()
        mask = self.voice(functional.pad(heard, (0, 0, 0, -heard.shape[2] % VOICE_FRAMES)))
        mask = mask[:, :, : heard.shape[2]]
        above = mask[..., -_EDGE:].mean(-1, keepdim=True)
        mask = torch.cat((mask, above.expand(-1, -1, -1, spec.shape[-1] - VOICE_BINS)), -1)
        left, right = mask.unbind(1)
        both, apart = (left + right)[:, None] / 2, (left - right)[:, None] / 2
        sums = self.bin_sums[: spec.shape[-1]].to(alone.dtype)
        shares = (both * alone + apart * common[:, None]) @ sums / (alone @ sums + 1e-20)
        return shares.clamp(0, 1)

    def masks(self, energies: Tensor, hints: Tensor | None = None) -> Tensor:
        """Return the share of every source in every band, in the mean over the members.

        Args:
            energies: of middle and side, shape (batch, 2, frames, bands).
            hints: what `hints` gives of the same mixture.

        Returns:
            Shape (batch, sources, 2, frames, bands).
        """
        total: Tensor = sum((member(energies, hints) for member in self.members), torch.zeros(()))
        masks = total / len(self.members)
        return masks if hints is None or not self.trust else self._trusting(masks, hints)

    def _trusting(self, masks: Tensor, hints: Tensor) -> Tensor:
        """Blend in masks whose vocals are the hints; the members share out the rest."""
        vocals = self.sources.index("vocals")
        shares = masks + _LEAST
        shares = torch.cat((shares[:, :vocals], shares[:, vocals + 1 :]), 1)
        shares = shares * ((1 - hints) / shares.sum(1))[:, None]
        told = torch.cat((shares[:, :vocals], hints[:, None], shares[:, vocals:]), 1)
        return masks.lerp(told, self.trust)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a batch of mixtures.

        Args:
            mixture: samples, any level.

        Returns:
            One stereo signal a source.
        """
        length = mixture.shape[-1]
        half = mixture.new_tensor([[0.5, 0.5], [0.5, -0.5]])
        spec = stft(half @ mixture, n_fft=N_FFT, hop_length=HOP_LENGTH, pad_mode="constant")
        spec = spec.transpose(-1, -2)  # frames x bins: the layout of the bands' matrix product
        energies = spec.abs().square() @ self.bin_sums.to(spec.real.dtype)
        masks = self.masks(energies, self.hints(spec))
        stems = (spec[:, None] * masks[..., self.bands_of_bins]).transpose(-1, -2)
        middle, side = istft(stems, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length).unbind(2)
        return torch.stack((middle + side, middle - side), 2).to(mixture.dtype)
