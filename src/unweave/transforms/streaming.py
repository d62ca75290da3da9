"""Spectrograms of audio that arrives in blocks, and audio of spectrograms that do."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from unweave._core.frames import SEEN, Framing, add_frames
from unweave.errors import ParameterError
from unweave.transforms._analysis import Analysis
from unweave.transforms._leastsquares import Work
from unweave.transforms._shorttime import check_spectrogram, wanted_length
from unweave.transforms._stream import FrameStream
from unweave.transforms.istftlayer import ISTFT


class Framewise(Protocol):
    """A layer whose columns come from one frame of audio each.

    Example:
        >>> from unweave.transforms import STFT
        >>> layer: Framewise = STFT(n_fft=256)
    """

    def framewise(self, x: Tensor) -> tuple[Analysis, Work]:
        """Give the analysis that makes frames, and what turns frames into columns.

        Args:
            x: Audio of the dtype and on the device of all that follows.
        """


class StreamingSTFT:
    """Give the columns of a spectrogram as soon as their frames have arrived.

    All columns together are those that the layer gives of all audio at once, to rounding, whatever
    the sizes of the blocks. A column needs the audio up to `latency` samples after its place, and
    with pad_mode "reflect" the first ones need n_fft // 2 + 1 samples. Memory does not grow.

    Args:
        layer: An `STFT`, or another layer that works on single frames, of any output.

    Example:
        >>> from unweave.transforms import STFT
        >>> audio = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
        >>> layer = STFT(n_fft=256, output="power")
        >>> stream = StreamingSTFT(layer)
        >>> parts = [stream.push(block) for block in audio.split(700, dim=-1)]
        >>> parts.append(stream.flush())
        >>> torch.testing.assert_close(torch.cat(parts, -1), layer(audio))
    """

    def __init__(self, layer: Framewise) -> None:
        self.layer = layer
        self.reset()

    def reset(self) -> None:
        """Forget all audio, and take over what the layer has learned since.

        Example:
            >>> from unweave.transforms import STFT
            >>> StreamingSTFT(STFT(n_fft=256)).reset()
        """
        self._stream: FrameStream | None = None

    @property
    def latency(self) -> int:
        """Samples that must follow the place of a frame, its centre or its start."""
        framing = self.layer.framewise(torch.zeros(1))[0].framing
        return framing.n_fft - framing.margin

    def push(self, x: Tensor) -> Tensor:
        """Take more audio, and give the columns that it completes.

        Args:
            x: Audio that follows the audio so far; any number of samples, also none.

        Returns:
            The columns, of which there may be none.

        Raises:
            ParameterError: The audio does not continue that so far.

        Shape:
            x: (..., time)
            returns: (..., freq, frames)

        Example:
            >>> from unweave.transforms import STFT
            >>> stream = StreamingSTFT(STFT(n_fft=256, hop_length=64))
            >>> [stream.push(torch.zeros(100)).shape[-1] for _ in range(4)]
            [0, 2, 1, 2]
        """
        if self._stream is None:
            self._stream = FrameStream(*self.layer.framewise(x))
        return self._stream.push(x)

    def flush(self) -> Tensor:
        """End the audio: give the last columns, and start anew.

        Returns:
            The columns that reach beyond the end of the audio.

        Raises:
            ParameterError: There was no audio, or less than the first frame needs.

        Shape:
            returns: (..., freq, frames)

        Example:
            >>> from unweave.transforms import STFT
            >>> stream = StreamingSTFT(STFT(n_fft=256, hop_length=64))
            >>> stream.push(torch.zeros(1000)).shape, stream.flush().shape
            (torch.Size([129, 14]), torch.Size([129, 2]))
        """
        if self._stream is None:
            raise ParameterError("flush() ends audio, but there was none: push some first")
        out = self._stream.flush()
        self.reset()
        return out


class StreamingISTFT:
    """Give audio as soon as no frame to come can change it.

    All blocks together are what the layer gives of all frames at once, to rounding. Audio ends
    n_fft - hop_length samples before the end of the last frame, until `flush`. Memory does not
    grow.

    Args:
        layer: The inverse. One at other frequencies than those of the FFT, which is solved from all
            frames at once, cannot be streamed unless it is trained.

    Raises:
        ParameterError: The inverse needs all frames at once.

    Example:
        >>> from unweave.transforms import stft
        >>> audio = torch.randn(3000, generator=torch.Generator().manual_seed(0))
        >>> stream = StreamingISTFT(ISTFT(n_fft=256))
        >>> parts = [stream.push(some) for some in stft(audio, n_fft=256).split(5, dim=-1)]
        >>> parts.append(stream.flush(length=3000))
        >>> torch.testing.assert_close(torch.cat(parts, -1), audio)
    """

    def __init__(self, layer: ISTFT) -> None:
        layer.framewise(torch.zeros(1, 1, dtype=torch.complex64))
        self.layer = layer
        self.reset()

    def reset(self) -> None:
        """Forget all frames.

        Example:
            >>> StreamingISTFT(ISTFT(n_fft=256)).reset()
        """
        self._sums = torch.empty(0, 0, 0)  # hops that later frames still reach
        self._power = torch.empty(0, 0, 0)  # squared windows there
        self._shape: tuple[int, ...] | None = None  # of the leading axes, once there are frames
        self._count = 0  # of all frames so far
        self._lag = 0  # hops that wait although no frame reaches them
        self._given = 0  # samples given so far

    def push(self, spec: Tensor) -> Tensor:
        """Take more frames, and give the audio that they complete.

        Args:
            spec: Complex spectra that follow those so far; any number, also none.

        Returns:
            Audio, which may have no samples.

        Raises:
            ParameterError: The spectra do not continue those so far.

        Shape:
            spec: (..., freq, frames)
            returns: (..., time)

        Example:
            >>> stream = StreamingISTFT(ISTFT(n_fft=256, hop_length=64))
            >>> frames = torch.zeros(129, 3, dtype=torch.complex64)
            >>> [stream.push(frames).shape[-1] for _ in range(3)]
            [64, 192, 192]
        """
        check_spectrogram(spec)
        framing, window, work = self.layer.framewise(spec)
        self._start(spec, framing, window)
        rows = spec.mT.reshape(len(self._sums), spec.shape[-1], spec.shape[-2])
        count = rows.shape[1]
        hops = self._sums.new_zeros(len(rows), count, framing.hop_length)
        sums = torch.cat([self._sums, hops], 1)
        power = torch.cat([self._power, hops[:1]], 1)
        if count:
            add_frames(sums[:, self._lag :], work(rows))
            add_frames(power[:, self._lag :], window.square().expand(1, count, -1))
        self._sums, self._power = sums[:, count:].clone(), power[:, count:].clone()
        first = (self._count - self._lag) * framing.hop_length - framing.margin
        self._count += count
        end = framing.span(self._count) - 2 * framing.margin
        return self._part(_divided(sums[:, :count], power[:, :count], window), first, end)

    def flush(self, *, length: int | None = None) -> Tensor:
        """End the audio: give what is left of it, and start anew.

        Args:
            length: Samples of the whole audio; by default, with `center` up to the centre of the
                last frame, otherwise to its end.

        Returns:
            The last samples.

        Raises:
            ParameterError: There were no frames, or `length` is more than the frames see or less
                than what was given already.

        Shape:
            returns: (..., time)

        Example:
            >>> stream = StreamingISTFT(ISTFT(n_fft=256, hop_length=64))
            >>> stream.push(torch.zeros(129, 9, dtype=torch.complex64)).shape
            torch.Size([448])
            >>> stream.flush(length=520).shape
            torch.Size([72])
        """
        if self._shape is None:
            raise ParameterError("flush() ends audio, but there was none: push some frames first")
        framing, window, _ = self.layer.framewise(self._sums)
        length = wanted_length(framing, self._count, length)
        if length < self._given:
            raise ParameterError(f"length={length}: {self._given} samples were given already")
        rest = _divided(self._sums, self._power, window)
        first = (self._count - self._lag) * framing.hop_length - framing.margin
        out = self._part(rest, first, length)
        silence = out.new_zeros(*out.shape[:-1], length - self._given)
        self.reset()
        return torch.cat([out, silence], -1)

    def _start(self, spec: Tensor, framing: Framing, window: Tensor) -> None:
        """Begin with the first frames, or make sure that these continue those so far."""
        shape = tuple(spec.shape[:-2])
        if self._shape is None:
            reach = -(-framing.n_fft // framing.hop_length) - 1
            # With hops so long that half a frame is done before the audio may end, one hop waits.
            self._lag = int(framing.hop_length > framing.n_fft - framing.margin)
            self._shape = shape
            self._sums = window.new_zeros(math.prod(shape), reach + self._lag, framing.hop_length)
            self._power = window.new_zeros(1, reach + self._lag, framing.hop_length)
        elif self._shape != shape or self._sums.dtype != window.dtype:
            raise ParameterError(
                f"spec of shape {tuple(spec.shape)} and dtype {spec.dtype} does not continue that"
                f" of shape {(*self._shape, '...')}: call flush() or reset() first"
            )

    def _part(self, samples: Tensor, first: int, end: int) -> Tensor:
        """Give the samples, whose first has the place `first`, that were not given yet."""
        out = samples[:, max(0, self._given - first) : max(0, end - first)]
        self._given += out.shape[1]
        return out.reshape(*(self._shape or ()), out.shape[1])


def _divided(sums: Tensor, power: Tensor, window: Tensor) -> Tensor:
    """Divide overlapped frames by the sum of their squared windows."""
    floor = SEEN * window.detach().square().max()
    return (sums / power.clamp(min=floor.to(power))).flatten(1)
