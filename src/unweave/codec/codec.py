"""Spectrograms as image files that say what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.arrays import NumpyArray, to_tensor
from unweave._core.checks import positive_int
from unweave._core.memory import fresh
from unweave.codec import _encoding, _files, _norbert, _pixels
from unweave.codec._encoding import Read
from unweave.codec._files import Source
from unweave.codec.bandwidth import FILLS, extension
from unweave.codec.images import ImageData, open_image
from unweave.codec.metadata import SpectrogramInfo, check_values, parse_comment, read_info
from unweave.codec.settings import preset_settings
from unweave.errors import CodecError, ParameterError
from unweave.transforms import griffinlim, istft, stft

Array: TypeAlias = "Tensor | NumpyArray"


class SpectrogramCodec:
    """Write magnitudes of spectrograms as small image files, and read them fast.

    A file holds everything that is needed to read it: any codec reads the files of all others. The
    planes of the channels stand one above the other, low frequencies at the bottom.

    Args:
        preset: "balanced"; "small", half its size but slower; "fast", twice its size but loads in
            two thirds of the time; "transparent", the best; "norbert", the pictures of norbert's
            README era.
        **changes: Other settings than the preset's; see `CodecSettings`.

    Attributes:
        settings: All settings.

    Raises:
        ParameterError: The preset or a setting is unknown, or settings do not fit together.

    Example:
        >>> codec = SpectrogramCodec()
        >>> noise = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> file = codec.encode(noise, sample_rate=44100)
        >>> codec.decode(file).shape, codec.info(file).bins
        (torch.Size([2, 1025, 44]), 744)
        >>> codec.resynthesise(file, mixture=noise).shape
        torch.Size([2, 44100])
    """

    def __init__(self, preset: str = "balanced", **changes: Any) -> None:
        self.settings = preset_settings(preset, **changes)

    def encode(
        self, audio: Array, *, sample_rate: float, path: str | os.PathLike[str] | None = None
    ) -> bytes:
        """Make an image file of audio.

        It takes some four times the memory of the magnitudes, at most that of 16 128 frames for
        JPEG: longer audio becomes several images in one file, of which most viewers show the first.

        Args:
            audio: Audio, real.
            sample_rate: Samples per second.
            path: Where to write the file, too; it appears there complete or not at all.

        Returns:
            The file.

        Raises:
            ParameterError: The audio has other axes, is not finite, or too long for one image.
            AudioFileError: The file cannot be written.

        Shape:
            audio: (channels, time)
        """
        signal = _tensor(audio)
        if signal.ndim != 2 or not signal.is_floating_point() or 0 in signal.shape:
            raise ParameterError(
                f"audio of shape {tuple(signal.shape)} and dtype {signal.dtype} must be"
                " (channels, time), floating and not empty"
            )
        signal = signal.detach()
        return self.encode_blocks(
            lambda first, last: signal[:, first:last],
            channels=signal.shape[0],
            length=signal.shape[1],
            sample_rate=sample_rate,
            path=path,
        )

    def encode_spectrogram(
        self,
        spec: Array,
        *,
        sample_rate: float,
        length: int | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> bytes:
        """Make an image file of a spectrogram of these settings' frames.

        Args:
            spec: Complex spectrogram as `transforms.stft` gives it, or its magnitudes.
            sample_rate: Samples per second.
            length: Samples of the audio; by default (frames - 1) * hop_length.
            path: Where to write the file, too; it appears there complete or not at all.

        Returns:
            The file.

        Raises:
            ParameterError: The spectrogram has other axes, negative values or values that are not
                finite, or is too large for one image.
            AudioFileError: The file cannot be written.

        Shape:
            spec: (channels, n_fft // 2 + 1, frames)
        """
        magnitude = _tensor(spec)
        magnitude = magnitude.abs() if magnitude.is_complex() else magnitude
        bins = self.settings.n_fft // 2 + 1
        if magnitude.ndim != 3 or magnitude.shape[1] != bins or 0 in magnitude.shape:
            raise ParameterError(
                f"a spectrogram of shape {tuple(magnitude.shape)} must be (channels, {bins},"
                f" frames) for n_fft={self.settings.n_fft}, and not be empty"
            )
        if not magnitude.is_floating_point() or bool((magnitude < 0).any()):
            raise ParameterError("magnitudes must be floating numbers that are not negative")
        frames = magnitude.shape[-1]
        default = (frames - 1) * self.settings.hop_length
        length = default if length is None else positive_int("length", length)
        signal = _encoding.Signal(sample_rate, magnitude.shape[0], length, frames)
        file = _encoding.encode(lambda a, b: magnitude[..., a:b], signal, self.settings)
        if path is not None:
            _files.write(file, path)
        return file

    def info(self, source: Source) -> SpectrogramInfo:
        """Read what an image file says of its spectrogram, without decoding it.

        Args:
            source: The file, or its path.

        Returns:
            Sample rate, length, frames and all that decoding needs.

        Raises:
            CodecError: It is no spectrogram image, or is damaged.
            AudioFileError: The file cannot be read.
        """
        return self._open(_files.loaded(source))[1]

    def decode(
        self,
        source: Source,
        *,
        start: int = 0,
        frames: int | None = None,
        fill: str = "zeros",
        out: Tensor | None = None,
    ) -> Tensor:
        """Read magnitudes of an image file.

        Of a JPEG file only the columns wanted, to within some 400 frames, are decoded; of several
        images in a file, only those that hold frames wanted are read.

        Args:
            source: The file, or its path.
            start: The first frame wanted.
            frames: How many; all from there on if not given.
            fill: What stands in the bins that were left out: "zeros" or "extend"; see
                `restore_bandwidth`.
            out: Where to put them, such as an item of a batch: float32 on the CPU.

        Returns:
            Magnitudes, float32; `out` if it was given.

        Raises:
            CodecError: It is no spectrogram image, or is damaged.
            AudioFileError: The file cannot be read.
            ParameterError: The file does not hold these frames, or `out` does not fit.

        Shape:
            out: (channels, n_fft // 2 + 1, frames)
            returns: (channels, n_fft // 2 + 1, frames)
        """
        if fill not in FILLS:
            raise ParameterError(f"fill={fill!r} must be one of {FILLS}")
        source = _files.loaded(source)
        opened = self._open(source)
        info = opened[1]
        stop = _stop(start, frames, info)
        shape = (info.channels, info.freq_bins, stop - start)
        if out is None:
            out = fresh(torch.empty(0), *shape)
        elif tuple(out.shape) != shape or out.dtype != torch.float32 or out.device.type != "cpu":
            raise ParameterError(
                f"out of shape {tuple(out.shape)} and dtype {out.dtype} on {out.device} must be"
                f" {shape} in float32 on the CPU"
            )
        out = out.detach()
        for image, own in self._images(source, start, stop, opened):
            first, last = max(start, own.span[0]), min(stop, own.span[1])
            pixels = image.pixels(first - own.span[0], last - own.span[0])
            if last - first == stop - start:
                _pixels.to_magnitudes(pixels, own, out)
            else:
                part = fresh(out, *shape[:2], last - first)
                _pixels.to_magnitudes(pixels, own, part)
                out[:, : own.bins, first - start : last - start] = part[:, : own.bins]
        if fill == "zeros":
            out.numpy()[:, info.bins :] = 0  # torch would wake its threads for it
        elif info.bins < info.freq_bins:
            out[:, info.bins :] = extension(out[:, : info.bins], info.freq_bins)
        return out

    def resynthesise(
        self,
        source: Source,
        *,
        mixture: Array | None = None,
        fill: str = "zeros",
        n_iter: int = 32,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Make audio of an image file, which holds no phases.

        Args:
            source: The file, or its path.
            mixture: Audio whose phases are taken, such as the mixture of which the file holds a
                source, or its complex spectrogram. Without it the phases are sought by the
                algorithm of Griffin and Lim; see `griffinlim`.
            fill: What stands in the bins that were left out: "zeros" or "extend".
            n_iter: Iterations of Griffin and Lim.
            generator: Source of their random initial phases.

        Returns:
            The audio, float32.

        Raises:
            CodecError: It is no spectrogram image, or is damaged.
            AudioFileError: The file cannot be read.
            ParameterError: The mixture has another length, or neither one channel nor as many.

        Shape:
            mixture: (channels, time) or (channels, freq, frames)
            returns: (channels, time)
        """
        source = _files.loaded(source)
        info = self.info(source)
        magnitude = self.decode(source, fill=fill)
        options: dict[str, Any] = {
            "n_fft": info.n_fft,
            "hop_length": info.hop_length,
            "window": info.window,
            "center": info.center,
        }
        if mixture is None:
            options |= {"pad_mode": info.pad_mode, "length": info.length}
            return griffinlim(magnitude, n_iter=n_iter, generator=generator, **options)
        phases = _spectrum(_tensor(mixture), info, options)
        scaled = torch.polar(magnitude, phases.angle().to(magnitude.dtype).expand_as(magnitude))
        return istft(scaled, length=info.length, **options)

    def encode_blocks(
        self,
        read: Read,
        *,
        channels: int,
        length: int,
        sample_rate: float,
        path: str | os.PathLike[str] | None = None,
    ) -> bytes:
        """Make an image file of audio that need not be in memory as a whole.

        Args:
            read: Gives samples, (channels, time), from one index to before another.
            channels: Channels of the audio.
            length: Samples of a channel.
            sample_rate: Samples per second.
            path: Where to write the file, too; it appears there complete or not at all.

        Returns:
            The file.

        Raises:
            ParameterError: The audio is not finite, or too much for the format.
            AudioFileError: The file cannot be written.

        Example:
            >>> noise = torch.randn(1, 44100, generator=torch.Generator().manual_seed(0))
            >>> file = SpectrogramCodec().encode_blocks(
            ...     lambda first, last: noise[:, first:last],
            ...     channels=1,
            ...     length=44100,
            ...     sample_rate=44100,
            ... )
            >>> file == SpectrogramCodec().encode(noise, sample_rate=44100)
            True
        """
        made = self.settings
        frames = _encoding.count_frames(length, made)
        signal = _encoding.Signal(sample_rate, channels, length, frames)
        file = _encoding.encode(_encoding.analysed(read, signal, made), signal, made)
        if path is not None:
            _files.write(file, path)
        return file

    def _open(self, source: bytes | Path, part: int = 0) -> tuple[ImageData, SpectrogramInfo]:
        """Read the header of one image of a file."""
        image = open_image(_files.read_image(source, part))
        header = image.header
        found = parse_comment(header.comment)
        if _norbert.is_norbert(found):
            info = _norbert.read_info(found, header, self.settings)
        else:
            info = read_info(found)
        if info.part != part:
            raise CodecError(
                f"the image is number {info.part + 1} of {info.parts}, and stands where number"
                f" {part + 1} is wanted: the file that holds all is wanted"
            )
        stacked = info.rows * (1 if info.colours else info.channels)
        first, last = info.span
        right = header.height == stacked and header.width >= last - first
        if not right or header.colours != info.colours:
            raise CodecError(
                f"the image has {header.width} x {header.height} pixels, and its user comment says"
                f" {last - first} x {stacked}: another program has changed it"
            )
        check_values(info.channels, info.freq_bins, last - first, CodecError)
        return image, info

    def _images(
        self, source: bytes | Path, start: int, stop: int, opened: tuple[ImageData, SpectrogramInfo]
    ) -> Iterator[tuple[ImageData, SpectrogramInfo]]:
        """Open the images that hold some frames; the first image is open."""
        stated = opened[1]
        for part, (first, last) in enumerate(stated.spans):
            if first >= stop or last <= start:
                continue
            image, info = self._open(source, part) if part else opened
            if replace(info, bounds=stated.bounds, part=0) != stated:
                raise CodecError(f"image {part + 1} of the file is that of another one")
            yield image, info


def _tensor(array: Array) -> Tensor:
    return array if isinstance(array, Tensor) else to_tensor(array)


def _spectrum(mixture: Tensor, info: SpectrogramInfo, options: dict[str, Any]) -> Tensor:
    """Give the spectrum whose phases are taken."""
    if not mixture.is_complex():
        if mixture.ndim != 2 or mixture.shape[-1] != info.length:
            raise ParameterError(
                f"a mixture of shape {tuple(mixture.shape)} must be (channels, {info.length}),"
                " as long as the audio in the file"
            )
        # norbert's last frame begins after the audio's end
        missing = (info.frames - 1) * info.hop_length - info.length if info.center else 0
        padded = pad(mixture.float(), (0, max(0, missing)))
        mixture = stft(padded, pad_mode=info.pad_mode, **options)
    wanted = (info.freq_bins, info.frames)
    if mixture.ndim != 3 or mixture.shape[1:] != wanted or len(mixture) not in (1, info.channels):
        raise ParameterError(
            f"a mixture's spectrogram of shape {tuple(mixture.shape)} must be (1 or"
            f" {info.channels}, {wanted[0]}, {wanted[1]})"
        )
    return mixture.detach().cpu()


def _stop(start: int, frames: int | None, info: SpectrogramInfo) -> int:
    whole = isinstance(start, int) and (frames is None or isinstance(frames, int))
    if whole and 0 <= start < info.frames:
        stop = info.frames if frames is None else start + frames
        if start < stop <= info.frames:
            return stop
    raise ParameterError(
        f"start={start!r} and frames={frames!r} must lie within the {info.frames} frames of the"
        " file"
    )
