"""Magnitudes and the phases of other audio to audio, in pieces that need little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.codec._encoding import Read
from unweave.codec.metadata import SpectrogramInfo
from unweave.transforms import istft, stft

_PIECE = 2**20  # samples


def rejoined(magnitude: Read, phases: Read, info: SpectrogramInfo) -> Iterator[Tensor]:
    """Give audio of the magnitudes of one signal and the phases of another.

    Args:
        magnitude: Gives those of some frames.
        phases: Gives samples of audio as long as that of the file, of as many channels or of one.
        info: Of the file.

    Returns:
        The pieces, one after the other. Frames are taken with neighbours on both sides that reach
        as far as a frame, so that all is as it would be in one piece.

    Shape:
        returns: (channels, time) each
    """
    hop = info.hop_length
    margin = -(-info.n_fft // hop)
    step = max(1, _PIECE // hop) if info.center else info.frames
    options: dict[str, Any] = {
        "n_fft": info.n_fft,
        "hop_length": hop,
        "window": info.window,
        "center": info.center,
    }
    # norbert's last frame begins after the audio's end
    beyond = max(0, (info.frames - 1) * hop - info.length) if info.center else 0
    for begin in range(0, info.frames, step):
        if begin * hop >= info.length:
            return
        stop = min(begin + step, info.frames)
        first, last = max(0, begin - margin), min(info.frames, stop + margin)
        left, right = max(0, first - margin), last + margin
        cut = phases(left * hop, min(right * hop, info.length))
        if right * hop >= info.length:
            cut = pad(cut, (0, beyond))
        spec = stft(cut, pad_mode=info.pad_mode, **options)[..., first - left : last - left]
        spec = torch.sgn(spec) * magnitude(first, last)
        end = info.length if stop == info.frames else min(info.length, stop * hop)
        yield istft(spec, length=end - first * hop, **options)[..., (begin - first) * hop :]
