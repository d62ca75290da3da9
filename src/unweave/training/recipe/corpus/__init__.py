"""Build the training corpus: all sound becomes `CORPUS/<collection>/<track>/<stem>.wav`.

All files are 44.1 kHz stereo 16-bit, the stems of a track are sample-aligned, and a stem that a
track does not have is simply absent. `python -m unweave.training.recipe.corpus --help` builds it.
"""

from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def write_stem(folder: Path, stem: str, audio: np.ndarray) -> None:
    """Store one stem as 16-bit WAV.

    Args:
        folder: the track's folder; created when missing.
        stem: one of `STEMS` or "accompaniment".
        audio: samples, shape (time, 2), full scale 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{stem}.part"
    soundfile.write(part, np.clip(audio, -1, 1), SAMPLE_RATE, subtype="PCM_16", format="WAV")
    part.replace(folder / f"{stem}.wav")
