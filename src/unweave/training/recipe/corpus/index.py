"""What the corpus holds: tracks, their stems, and where each stem sounds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from unweave.training.recipe.corpus import SAMPLE_RATE

FRAME = SAMPLE_RATE // 10
ACTIVE = 1e-3  # -60 dBFS


@dataclass(frozen=True)
class Stem:
    """One stem file of the corpus.

    Attributes:
        path: 44.1 kHz stereo WAV.
        frames: length in samples.
        level: RMS of its active 100 ms frames, full scale 1; 0 for a silent stem.
        active: share of active frames, of every second of the file.
    """

    path: Path
    frames: int
    level: float
    active: np.ndarray


@dataclass(frozen=True)
class Track:
    """A track of the corpus: aligned stems.

    Attributes:
        collection: where it comes from: "songs", "midi-0", ...
        name: of its folder.
        stems: by name.
    """

    collection: str
    name: str
    stems: dict[str, Stem]


def read_index(corpus: Path, *, leave_out: tuple[str, ...] = ()) -> list[Track]:
    """Measure every stem of the corpus.

    Args:
        corpus: root of the corpus.
        leave_out: names of tracks to skip (held-out songs).

    Returns:
        Tracks in a fixed order; silent stems are left out.
    """
    tracks = []
    for folder in sorted(p for p in corpus.glob("*/*") if p.is_dir()):
        if folder.name in leave_out:
            continue
        stems = {path.stem: _measure(path) for path in sorted(folder.glob("*.wav"))}
        sounding = {name: stem for name, stem in stems.items() if stem.level > 0}
        if sounding:
            tracks.append(Track(folder.parent.name, folder.name, sounding))
    return tracks


def active_rms(audio: np.ndarray) -> tuple[float, np.ndarray]:
    """Measure the level of a stem where it sounds.

    Args:
        audio: shape (time, 2), full scale 1.

    Returns:
        RMS of the 100 ms frames above -60 dBFS, and the mask of these frames.
    """
    count = max(1, len(audio) // FRAME)
    frames = audio[: count * FRAME].reshape(count, -1)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    active = power > ACTIVE**2
    return float(np.sqrt(power[active].mean())) if active.any() else 0.0, active


def _measure(path: Path) -> Stem:
    cache = path.with_suffix(".npz")
    if not cache.exists():
        audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
        level, active = active_rms(audio)
        seconds = np.add.reduceat(active, np.arange(0, len(active), 10)) / 10
        np.savez(cache, level=level, active=seconds, frames=len(audio))
    with np.load(cache) as data:
        return Stem(path, int(data["frames"]), float(data["level"]), data["active"])
