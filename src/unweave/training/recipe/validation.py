"""Score masks on whole held-out songs, from band sums alone."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unweave.models.bandmask import HOP_LENGTH, N_FFT, BandMaskNet
from unweave.training.recipe.corpus import STEMS
from unweave.training.recipe.corpus.index import active_rms
from unweave.training.recipe.corpus.songs import read_stereo
from unweave.training.recipe.pool import TARGET_DB

PIECE = 2048  # frames that are scored at once


def rebalanced_stems(folder: Path) -> np.ndarray:
    """Read a song's stems at equal loudness: the benchmark mixture's parts.

    Every stem is gained so that its active 100 ms frames have RMS vocals -20, drums -19,
    bass -21, other -22 dBFS; then all share one factor that brings their sum to a peak of 0.98.

    Args:
        folder: holds `<stem>.ogg` or `<stem>.wav`; missing stems are silent.

    Returns:
        Shape (stems, time, 2), float32.
    """
    paths = [next(iter(sorted(folder.glob(f"{name}.*[gv]"))), None) for name in STEMS]
    audio = [read_stereo(path) if path else np.zeros((0, 2), np.float32) for path in paths]
    length = max(len(a) for a in audio)
    stems = np.zeros((len(STEMS), length, 2), np.float32)
    for slot, (name, part) in enumerate(zip(STEMS, audio, strict=True)):
        level, _ = active_rms(part) if len(part) else (0.0, None)
        if level:
            stems[slot, : len(part)] = part * (10 ** (TARGET_DB[name] / 20) / level)
    peak = float(np.abs(stems.sum(0)).max())
    return stems * (0.98 / peak) if peak else stems


class BandSong:
    """Band sums of one song, ready for scoring any mask.

    Args:
        stems: shape (stems, time, 2).
        net: knows the bands, and may have hints to give, which are asked for once.

    Attributes:
        mixture: Exx, shape (1, 2, frames, bands).
        cross: Exs, shape (1, stems, 2, frames, bands).
        own: energy of each stem, shape (stems,).
        hints: of the voice, of the shape of `mixture`, or None.
    """

    def __init__(self, stems: np.ndarray, net: BandMaskNet) -> None:
        window, sums = torch.hann_window(N_FFT), net.bin_sums

        def transform(part: np.ndarray) -> Tensor:
            left, right = torch.from_numpy(np.ascontiguousarray(part.T))
            both = 0.5 * torch.stack((left + right, left - right))
            spec = torch.stft(
                both, N_FFT, HOP_LENGTH, window=window, pad_mode="constant", return_complex=True
            )
            return spec.transpose(1, 2)

        mixture = transform(stems.sum(0))
        self.mixture = (mixture.abs().square() @ sums)[None]
        with torch.inference_mode():
            asked = (net.eval().hints(part[None]) for part in torch.split(mixture, PIECE, dim=1))
            hints = [answer for answer in asked if answer is not None]
        self.hints = torch.cat(hints, 2) if hints else None
        cross, own = [], []
        for part in stems:
            spec = transform(part)
            cross.append((spec * mixture.conj()).real @ sums)
            own.append(spec.abs().square().sum(dtype=torch.float64))
        self.cross = torch.stack(cross)[None]
        self.own = torch.stack(own)

    def _masks(self, net: BandMaskNet, frames: slice) -> Tensor:
        hints = None if self.hints is None else self.hints[:, :, frames]
        return net.masks(self.mixture[:, :, frames], hints)

    def sdr(self, net: BandMaskNet) -> dict[str, float]:
        """Return the SDR in dB of every stem that sounds, and of the accompaniment."""
        pieces = [slice(t, t + PIECE) for t in range(0, self.mixture.shape[2], PIECE)]
        with torch.inference_mode():
            masks = torch.cat([self._masks(net, piece) for piece in pieces], 3)
        kept = {name: masks[:, i] for i, name in enumerate(STEMS)}
        cross = {name: self.cross[:, i] for i, name in enumerate(STEMS)}
        own = {name: self.own[i] for i, name in enumerate(STEMS)}
        kept["accompaniment"] = 1 - kept["vocals"]
        cross["accompaniment"] = self.mixture - cross["vocals"]
        rest = self.mixture.sum(dtype=torch.float64) - 2 * cross["vocals"].sum(dtype=torch.float64)
        own["accompaniment"] = rest + own["vocals"]
        scores = {}
        for name, mask in kept.items():
            if own[name] > 0:
                error = mask * (mask * self.mixture - 2 * cross[name])
                noise = own[name] + error.sum(dtype=torch.float64)
                scores[name] = float(10 * torch.log10(own[name] / noise.clamp(min=1e-12)))
        return scores
