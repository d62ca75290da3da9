"""Per-channel energy normalisation: an automatic gain for each band, then a root."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError
from unweave.transforms._analysis import single
from unweave.transforms._pcen import Curve, check_curve, compress, expand
from unweave.transforms.compression import check_positive


@array_function
def pcen(
    S: Tensor,
    *,
    sample_rate: float,
    hop_length: int,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    time_constant: float = 0.4,
    eps: float = 1e-6,
    smoothing: float | None = None,
    state: Tensor | None = None,
) -> Tensor:
    """Divide each band of a spectrogram by its own recent energy, and compress what stands out.

    With the energy M[t] = (1 - b) M[t-1] + b S[t] it gives

        (S / (eps + M)^gain + bias)^power - bias^power,

    which keeps onsets and takes away steady noise and the loudness of the recording. It equals
    librosa's.

    Args:
        S: Magnitudes or energies, not negative, best scaled as 32-bit integers are (times 2^31).
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        gain: How much of the recent energy is divided away: 0 nothing, 1 all.
        bias: What is added before the root, so that quiet noise is not lifted; 0 adds nothing.
        power: The root; 0 stands for its limit, log(1 + S / (eps + M)^gain).
        time_constant: Of the smoothing, in seconds.
        eps: What keeps silence from being divided by zero.
        smoothing: The b of the recursion itself, between 0 and 1; found from `time_constant` if not
            given.
        state: The recent energy before the first frame; 1 if not given, as in librosa. S[..., 0]
            starts without a transient.

    Returns:
        The normalised spectrogram.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        S: (..., channels, frames)
        state: (..., channels)
        returns: (..., channels, frames)

    Example:
        >>> steady = 2.0**31 * torch.ones(1, 100)
        >>> out = pcen(steady, sample_rate=22050, hop_length=512)
        >>> round(float(out[0, 0]), 2), round(float(out[0, -1]), 2)  # an onset, then habit
        (3.85, 0.47)

    References:
        [Wang2017] Trainable frontend for robust and far-field keyword spotting, ICASSP.
    """
    smoothing = _smoothing(sample_rate, hop_length, time_constant, smoothing)
    return compress(S, check_curve(Curve(smoothing, gain, bias, power, eps)), state)[0]


@array_function
def pcen_stream(
    S: Tensor,
    *,
    sample_rate: float,
    hop_length: int,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    time_constant: float = 0.4,
    eps: float = 1e-6,
    smoothing: float | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Normalise a spectrogram that arrives in pieces: `pcen` that hands its state on.

    Args:
        S: The next frames, at least one.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        gain: How much of the recent energy is divided away.
        bias: What is added before the root.
        power: The root.
        time_constant: Of the smoothing, in seconds.
        eps: What keeps silence from being divided by zero.
        smoothing: The b of the recursion itself, between 0 and 1.
        state: What the call before gave; nothing at first.

    Returns:
        The normalised frames, and the state for the next call: the recent energy.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        S: (..., channels, frames)
        state: (..., channels)
        returns: (..., channels, frames) and (..., channels)

    Example:
        >>> S = torch.rand(8, 20)
        >>> first, state = pcen_stream(S[:, :5], sample_rate=8000, hop_length=64)
        >>> rest, _ = pcen_stream(S[:, 5:], sample_rate=8000, hop_length=64, state=state)
        >>> whole = pcen(S, sample_rate=8000, hop_length=64)
        >>> bool(torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5))
        True
    """
    smoothing = _smoothing(sample_rate, hop_length, time_constant, smoothing)
    return compress(S, check_curve(Curve(smoothing, gain, bias, power, eps)), state)


@array_function
def inverse_pcen(
    compressed: Tensor,
    *,
    sample_rate: float,
    hop_length: int,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    time_constant: float = 0.4,
    eps: float = 1e-6,
    smoothing: float | None = None,
    state: Tensor | None = None,
) -> Tensor:
    """Give back the spectrogram that `pcen` normalised, frame after frame.

    The energy that a frame was divided by holds the frame itself, so each is the root of one
    increasing equation, found by Newton's method; then the energy before the next frame is known.
    The work is done in float64; what float32 rounded away in silence does not come back.

    Args:
        compressed: What `pcen` gave.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        gain: As it was for `pcen`; below 1.
        bias: As it was for `pcen`.
        power: As it was for `pcen`.
        time_constant: As it was for `pcen`.
        eps: As it was for `pcen`.
        smoothing: As it was for `pcen`.
        state: As it was for `pcen`.

    Returns:
        The spectrogram.

    Raises:
        ParameterError: A parameter is out of range, or the gain is not below 1.

    Shape:
        compressed: (..., channels, frames)
        state: (..., channels)
        returns: (..., channels, frames)

    Example:
        >>> S = 2.0**31 * torch.rand(8, 20)
        >>> again = inverse_pcen(
        ...     pcen(S, sample_rate=8000, hop_length=64), sample_rate=8000, hop_length=64
        ... )
        >>> bool(torch.allclose(again, S, rtol=1e-3))
        True
    """
    smoothing = _smoothing(sample_rate, hop_length, time_constant, smoothing)
    return expand(compressed, check_curve(Curve(smoothing, gain, bias, power, eps)), state)


class PCEN(nn.Module):
    """Hold the parameters of `pcen`, for use inside models; they may be trained for each channel.

    Trained are factors of gain, bias and power, by their logarithms, and the odds of the smoothing:
    whatever the optimiser does, all stay in their ranges.

    Args:
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        gain: How much of the recent energy is divided away.
        bias: What is added before the root.
        power: The root.
        time_constant: Of the smoothing, in seconds.
        eps: What keeps silence from being divided by zero.
        smoothing: The b of the recursion itself, between 0 and 1.
        trainable: Whether the parameters are trained; then gain, bias and power must be positive.
        n_channels: Number of channels, needed where they are trained.

    Raises:
        ParameterError: A parameter is out of range or missing.

    Example:
        >>> layer = PCEN(sample_rate=16000, hop_length=128, trainable=True, n_channels=40)
        >>> layer(torch.rand(2, 40, 100)).shape, sum(p.numel() for p in layer.parameters())
        (torch.Size([2, 40, 100]), 160)
    """

    log_gain: nn.Parameter
    log_bias: nn.Parameter
    log_power: nn.Parameter
    log_odds: nn.Parameter

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int,
        gain: float = 0.98,
        bias: float = 2.0,
        power: float = 0.5,
        time_constant: float = 0.4,
        eps: float = 1e-6,
        smoothing: float | None = None,
        trainable: bool = False,
        n_channels: int | None = None,
    ) -> None:
        super().__init__()
        smoothing = _smoothing(sample_rate, hop_length, time_constant, smoothing)
        self._curve = check_curve(Curve(smoothing, gain, bias, power, eps))
        self._odds = math.log(smoothing / (1 - smoothing)) if smoothing < 1 else math.inf
        self.trainable = trainable
        if trainable:
            for name, value in (("gain", gain), ("bias", bias), ("power", power)):
                check_positive(name, value)
            if n_channels is None or smoothing == 1:
                raise ParameterError("trainable=True needs n_channels, and smoothing below 1")
            shape = positive_int("n_channels", n_channels)
            for name in ("log_gain", "log_bias", "log_power", "log_odds"):
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def curve(self, S: Tensor) -> Curve:
        """Give the parameters that are used, in the precision of a spectrogram.

        Args:
            S: The spectrogram.

        Returns:
            Numbers, or what is trained, of shape (channels, 1), the smoothing of shape (channels,).

        Example:
            >>> PCEN(sample_rate=16000, hop_length=128).curve(torch.ones(1)).gain
            0.98
        """
        if not self.trainable:
            return self._curve
        dtype, fixed = single(S).dtype, self._curve
        scales = (self.log_gain, self.log_bias, self.log_power)
        gain, bias, power = (scale.to(dtype).exp()[:, None] for scale in scales)
        return Curve(
            torch.sigmoid(self.log_odds.to(dtype) + self._odds),
            gain * fixed.gain,
            bias * fixed.bias,
            power * fixed.power,
            fixed.eps,
        )

    def forward(self, S: Tensor) -> Tensor:
        """Normalise a spectrogram; see `pcen`.

        Args:
            S: Magnitudes or energies.

        Returns:
            The normalised spectrogram.

        Shape:
            S: (..., channels, frames)
            returns: (..., channels, frames)

        Example:
            >>> PCEN(sample_rate=16000, hop_length=128)(torch.zeros(40, 3)).abs().max()
            tensor(0.)
        """
        return compress(S, self.curve(S), None)[0]

    def stream(self, S: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalise the next frames of a spectrogram; see `pcen_stream`.

        Args:
            S: The next frames.
            state: What the call before gave; nothing at first.

        Returns:
            The normalised frames, and the state for the next call.

        Shape:
            S: (..., channels, frames)
            state: (..., channels)
            returns: (..., channels, frames) and (..., channels)

        Example:
            >>> out, state = PCEN(sample_rate=16000, hop_length=128).stream(torch.zeros(40, 3))
            >>> out.shape, state.shape
            (torch.Size([40, 3]), torch.Size([40]))
        """
        return compress(S, self.curve(S), state)

    def inverse(self, compressed: Tensor, state: Tensor | None = None) -> Tensor:
        """Give back the spectrogram; see `inverse_pcen`.

        Args:
            compressed: What was normalised.
            state: The state before its first frame.

        Returns:
            The spectrogram.

        Shape:
            compressed: (..., channels, frames)
            state: (..., channels)
            returns: (..., channels, frames)

        Example:
            >>> layer = PCEN(sample_rate=16000, hop_length=128)
            >>> layer.inverse(layer(torch.ones(40, 3))).shape
            torch.Size([40, 3])
        """
        return expand(compressed, self.curve(compressed.double()), state)


def _smoothing(
    sample_rate: float, hop_length: int, time_constant: float, smoothing: float | None
) -> float:
    """Give b, whose filter has about the given time constant, as librosa finds it."""
    check_positive("sample_rate", sample_rate)
    hop_length = positive_int("hop_length", hop_length)
    check_positive("time_constant", time_constant)
    if smoothing is None:
        frames = time_constant * sample_rate / hop_length
        return (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    smoothing = non_negative("smoothing", smoothing)
    if not 0 < smoothing <= 1:
        raise ParameterError(f"smoothing={smoothing} must lie above 0 and not above 1")
    return smoothing
