"""Separates signals and streams of any length, rate and number of channels with a network."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Self, Unpack, overload

import numpy as np
import torch
from torch import Tensor, nn

from unweave._core.arrays import NumpyArray, to_tensor
from unweave.audio import AudioInfo, AudioReader
from unweave.errors import ParameterError
from unweave.models import SeparationNetwork, load_model
from unweave.separation.chunking import SHORTEST, plan_segments, run_segments
from unweave.separation.devices import resolve_device
from unweave.separation.network import Cancel, NetworkRunner
from unweave.separation.options import OptionKeywords, SeparationOptions
from unweave.separation.refinement import WienerRefinement
from unweave.separation.stages import BLOCK, Delay, averaged, checked, completed, kept, resampled

Progress = Callable[[float, float | None], object]
"""Called with the seconds done and the seconds in all (None while unknown)."""

MIN_RATE, MAX_RATE = 1_000, 768_000
MAX_CHANNELS = 64


class Separator:
    """Take mixtures apart with one network.

    The mixture keeps its sample rate, its channels and its exact length, whatever the network
    works at. A mono mixture is given to a stereo network on both sides and the stems' sides are
    averaged; more channels go through in pairs, an odd last one like a mono mixture.

    Args:
        model: a network that follows `SeparationNetwork`, the name of a registered model, or the
            path of a weights file. A network is put into evaluation mode and moved to the device.
        device: "auto" for a GPU if there is one, or any torch device.
        **options: fields of `SeparationOptions`.

    Attributes:
        model: the network.
        device: where it runs.
        options: a `SeparationOptions`.
        stems: names of the stems, in the order of the blocks of `stream`.

    Raises:
        ParameterError: the model, device or an option is unknown or out of range.
        WeightsError: the weights file cannot be used.

    Example:
        >>> from unweave.models.bandmask import BandMaskNet
        >>> separator = Separator(BandMaskNet(widths=(4, 4, 4), recurrent=8), device="cpu")
        >>> stems = separator.separate(np.zeros((2, 1000), dtype="float32"), sample_rate=44100)
        >>> {name: stem.shape for name, stem in stems.items()}
        {'vocals': (2, 1000), 'drums': (2, 1000), 'bass': (2, 1000), 'other': (2, 1000)}
    """

    def __init__(
        self,
        model: nn.Module | str | Path,
        *,
        device: str | torch.device = "auto",
        **options: Unpack[OptionKeywords],
    ) -> None:
        self.options = SeparationOptions.of(**options)
        self.device = resolve_device(device)
        network = load_model(model) if isinstance(model, str | Path) else model
        if not isinstance(network, nn.Module) or not isinstance(network, SeparationNetwork):
            raise ParameterError(
                f"a {type(network).__name__} was given as model: an nn.Module with sample_rate,"
                " sources, channels and segment is expected (see SeparationNetwork)"
            )
        self.model = network.to(self.device).eval()
        self._network: SeparationNetwork = network
        self._configure()

    def _configure(self) -> None:
        network = self._network
        self._runner = NetworkRunner(network, self.device, self.options.batch_size)
        self._refinement = WienerRefinement(
            self.options.wiener, network.sample_rate, network.channels, self.options.residual
        )
        grid = int(getattr(network, "hop_length", 1))
        length = round((self.options.segment or network.segment) * network.sample_rate)
        if self.options.segment is None:  # a network's own figure is a wish
            length = max(length, SHORTEST * grid)
        self._layout = plan_segments(length, overlap=self.options.overlap, grid=grid)

    def with_options(self, **changes: Unpack[OptionKeywords]) -> Self:
        """Return a separator that shares this one's network but has other options.

        Args:
            **changes: fields of `SeparationOptions` that differ.

        Returns:
            The other separator.

        Raises:
            ParameterError: an option is unknown or out of range.

        Example:
            >>> from unweave.models.bandmask import BandMaskNet
            >>> separator = Separator(BandMaskNet(widths=(4, 4, 4), recurrent=8), device="cpu")
            >>> separator.with_options(residual=True).stems
            ('vocals', 'drums', 'bass', 'other', 'residual')
        """
        other = copy.copy(self)
        other.options = SeparationOptions.of(**{**asdict(self.options), **changes})
        other._configure()
        return other

    @property
    def complete(self) -> bool:
        """Whether the stems sum to the mixture; a lone stem made to do so would be all of it."""
        able = len(self.sources) > 1 and bool(getattr(self.model, "sums_to_mixture", True))
        return self.options.residual or (self.options.mixture_consistency and able)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what the network separates."""
        return tuple(self._network.sources)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems, in the order of the blocks of `stream`."""
        return (*self.sources, "residual") if self.options.residual else self.sources

    @overload
    def separate(
        self,
        audio: Tensor,
        sample_rate: int,
        *,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> dict[str, Tensor]: ...
    @overload
    def separate(
        self,
        audio: NumpyArray,
        sample_rate: int,
        *,
        progress: Progress | None = ...,
        cancel: Cancel | None = ...,
    ) -> dict[str, NumpyArray]: ...
    def separate(
        self,
        audio: Tensor | NumpyArray,
        sample_rate: int,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> dict[str, Tensor] | dict[str, NumpyArray]:
        """Separate signals that are in memory.

        Args:
            audio: samples of any floating dtype; not modified. The network works in float32.
            sample_rate: in hertz.
            progress: called with the seconds done and the seconds in all.
            cancel: asked between segments; True stops.

        Returns:
            One signal a stem, of the kind, dtype, device and shape of `audio`.

        Raises:
            ParameterError: `audio` is not a floating signal, or holds NaN or infinities.
            Cancelled: `cancel` said so.

        Shape:
            (..., channels, time), or (time,) for mono; each stem is shaped like `audio`.
        """
        signal = to_tensor(audio) if isinstance(audio, np.ndarray) else audio
        items = _items(signal)
        count, channels, frames = items.shape
        out = signal.new_empty(len(self.stems), count, channels, frames)
        for index, item in enumerate(items):
            position = 0
            for block in self.stream(
                torch.split(item, BLOCK, dim=-1),
                sample_rate,
                channels,
                frames=frames,
                progress=_part_of(progress, index, count),
                cancel=cancel,
            ):
                out[:, index, :, position : position + block.shape[-1]] = block
                position += block.shape[-1]
        stems = {name: stem.view(signal.shape) for name, stem in zip(self.stems, out, strict=True)}
        if isinstance(audio, np.ndarray):
            return {name: stem.numpy() for name, stem in stems.items()}
        return stems

    def stream(
        self,
        blocks: Iterable[Tensor | NumpyArray],
        sample_rate: int,
        channels: int,
        *,
        frames: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Tensor]:
        """Separate a signal of any length in constant memory.

        Args:
            blocks: consecutive pieces of the signal, of any lengths. They are copied, so their
                memory may be used again.
            sample_rate: in hertz.
            channels: audio channels of every block.
            frames: length of the signal, if it is known; only `progress` needs it.
            progress: called with the seconds done and the seconds in all.
            cancel: asked between segments; True stops.

        Returns:
            Consecutive pieces of the stems in float32, as long together as the signal. Each is
            fresh memory. The first comes after about one segment.

        Raises:
            ParameterError: a block has a wrong shape or dtype, or holds NaN or infinities.
            Cancelled: `cancel` said so.

        Shape:
            blocks (channels, n); result (stems, channels, m) with any m.
        """
        _check_format(sample_rate, channels)
        return self._stream(blocks, sample_rate, channels, frames, progress, cancel)

    def stream_file(
        self,
        path: str | Path,
        *,
        start: float = 0.0,
        duration: float | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Tensor]:
        """Separate a file, or a part of it, in constant memory.

        Args:
            path: of an audio file.
            start: seconds to leave out at the beginning.
            duration: seconds to separate; None goes on to the end.
            progress: called with the seconds done and the seconds in all.
            cancel: asked between segments; True stops.

        Returns:
            Blocks as `stream` gives them, at the file's own sample rate and channels.

        Raises:
            AudioFileError: the file cannot be read.
            ParameterError: `start` lies beyond its end, or it holds NaN or infinities.
            Cancelled: `cancel` said so.
        """
        with AudioReader(path) as reader:
            rate = reader.info.sample_rate
            first, frames = _span(reader.info, start, duration, path)
            if first:
                reader.seek(first)
            # An inexact header is an estimate: only the decoder knows where the file ends.
            unbounded = duration is None and not reader.info.exact
            yield from self.stream(
                _read_blocks(reader, None if unbounded else frames),
                rate,
                reader.info.channels,
                frames=frames,
                progress=progress,
                cancel=cancel,
            )

    def _stream(
        self,
        blocks: Iterable[Tensor | NumpyArray],
        sample_rate: int,
        channels: int,
        frames: int | None,
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> Iterator[Tensor]:
        network_rate = self._network.sample_rate
        mixture = Delay()
        signal: Iterable[Tensor] = checked(blocks, channels=channels, sample_rate=sample_rate)
        signal = resampled(kept(signal, mixture), sample_rate, network_rate)
        run = partial(
            run_segments,
            network=self._refinement.after(partial(self._runner, cancel=cancel)),
            layout=self._layout,
            minimum=min(self._layout.length, network_rate),
            batch_size=self.options.batch_size,
        )
        offsets = self._offsets()
        if offsets:
            stems = averaged(signal, run, channels=channels, offsets=offsets)
        else:
            stems = run(signal)
        done = 0
        for block in completed(
            resampled(stems, network_rate, sample_rate),
            mixture,
            consistent=self.complete,
            residual=self.options.residual,
        ):
            done += block.shape[-1]
            if progress is not None:
                progress(done / sample_rate, None if frames is None else frames / sample_rate)
            yield block

    def _offsets(self) -> list[int]:
        generator = torch.Generator().manual_seed(self.options.seed)
        most = self._network.sample_rate // 2
        return torch.randint(0, most, (self.options.shifts,), generator=generator).tolist()


def _items(signal: Tensor) -> Tensor:
    """View any signal as (items, channels, time)."""
    if signal.ndim == 0 or not signal.is_floating_point():
        raise ParameterError(
            f"audio of shape {tuple(signal.shape)} and {signal.dtype} was given: floating samples"
            " of shape (channels, time) are expected"
        )
    if signal.ndim == 1:
        return signal[None, None]
    channels, frames = signal.shape[-2:]
    if channels > MAX_CHANNELS:
        raise ParameterError(
            f"audio of shape {tuple(signal.shape)} has {channels} channels, up to {MAX_CHANNELS}"
            " are allowed: (channels, time) is expected; transpose it if time comes first"
        )
    return signal.reshape(math.prod(signal.shape[:-2]), channels, frames)


def _check_format(sample_rate: int, channels: int) -> None:
    if sample_rate != int(sample_rate) or not MIN_RATE <= sample_rate <= MAX_RATE:
        raise ParameterError(
            f"sample_rate={sample_rate} Hz: whole numbers from {MIN_RATE} to {MAX_RATE} are allowed"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise ParameterError(f"channels={channels} must lie between 1 and {MAX_CHANNELS}")


def _part_of(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Let one of several equally long signals report as a part of the whole."""
    if progress is None:
        return None

    def report(done: float, total: float | None) -> None:
        length = total or 0.0
        progress(index * length + done, count * length)

    return report


def _span(
    info: AudioInfo, start: float, duration: float | None, path: str | Path
) -> tuple[int, int]:
    """Turn seconds into the first frame and the number of frames."""
    seconds = info.frames / info.sample_rate
    if not 0 <= start < max(seconds, 1e-9):
        raise ParameterError(
            f"start={start} s: {path} lasts {seconds:.2f} s; give a time from 0 up to that"
        )
    if duration is not None and not 0 < duration < math.inf:
        raise ParameterError(f"duration={duration} s must be a positive number")
    first = round(start * info.sample_rate)
    rest = info.frames - first
    return first, rest if duration is None else min(rest, round(duration * info.sample_rate))


def _read_blocks(reader: AudioReader, frames: int | None) -> Iterator[Tensor]:
    done = 0
    while frames is None or done < frames:
        block = reader.read(BLOCK if frames is None else min(BLOCK, frames - done))
        if block.shape[-1] == 0:
            return
        done += block.shape[-1]
        yield block
