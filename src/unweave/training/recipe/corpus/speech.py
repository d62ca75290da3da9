"""Speech to be sung: recorded sentences and permissively licensed synthesisers.

What `apt-get install festvox-ru gcin-voice flite festival festvox-kdlpc16k` brings:

- 620 sentences recorded by a Russian man, N. Shmyrev's voice msu_ru_nsh (licence of the BSD kind);
- 1158 Mandarin syllables recorded by a woman, "ChionMeilin with the vocal source from Chu Lo"
  (CC-BY 3.0; only the files 5.ogg, the others of that package are GPL);
- Flite's voices of Carnegie Mellon University (kal, awb, rms: men; slt: a woman) and Festival's
  ked of the University of Edinburgh (a man): licences of the BSD kind.
"""

import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16000
RECORDED = {  # name: folder, files, a woman's?
    "nsh": (Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav"), "*.wav", False),
    "chion": (Path("/usr/share/gcin-voice/ogg"), "*/5.ogg", True),
}
FLITE = {"kal16": False, "awb": False, "rms": False, "slt": True}  # name: a woman's?
FESTIVAL = {"ked_diphone": False}
ONSETS = ("", "l", "m", "n", "d", "b", "r", "s", "sh", "t", "k", "f", "v", "g", "y", "h", "st", "w")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ow", "ee", "oo", "ar", "ay")
ENDS = ("", "", "", "n", "l", "s", "m", "t", "ng")
WORDS = (
    "love baby night day heart time way you me oh yeah never always tonight forever again "
    "away home dream fire light sky rain sun moon star road run fall rise dance sing feel "
    "hold break burn fly high low down under over alone together believe remember forget "
    "wonder tomorrow yesterday world eyes hand soul mind body money city river ocean mountain "
    "summer winter golden silver crazy lonely hey la na ooh what why where when know want "
    "need give take come go stay leave cry smile kiss"
)


def sentence(rng: random.Random, words: int) -> str:
    """Invent a line of English words and nonsense.

    Args:
        rng: chooses.
        words: how many.
    """
    line = []
    for _ in range(words):
        if rng.random() < 0.6:
            line.append(rng.choice(WORDS.split()))
        else:
            parts = (ONSETS, VOWELS, ENDS) * rng.randint(1, 2)
            line.append("".join(rng.choice(p) for p in parts))
    return " ".join(line)


def installed() -> list[tuple[str, str, bool]]:
    """List the speakers at hand.

    Returns:
        Kind ("recorded", "flite" or "festival"), name, and whether the speaker is a woman.
    """
    found = [
        ("recorded", name, woman)
        for name, (folder, files, woman) in RECORDED.items()
        if any(folder.glob(files))
    ]
    for kind, voices in (("flite", FLITE), ("festival", FESTIVAL)):
        try:
            command = [kind, "--version"]
            subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            continue
        found += [(kind, name, woman) for name, woman in voices.items()]
    return found


def speak(kind: str, name: str, rng: random.Random, *, seconds: float) -> np.ndarray:
    """Let a speaker speak.

    Args:
        kind: see `installed`.
        name: see `installed`.
        rng: chooses the words.
        seconds: at least this long.

    Returns:
        Mono samples at `RATE`.
    """
    parts: list[np.ndarray] = []
    folder, files, _ = RECORDED.get(name, (Path(), "", False))
    takes = sorted(folder.glob(files)) if kind == "recorded" else []
    while sum(map(len, parts)) < seconds * RATE:
        parts.append(_read(rng.choice(takes)) if takes else _synthesised(kind, name, rng))
    return np.concatenate(parts)


def _synthesised(kind: str, name: str, rng: random.Random) -> np.ndarray:
    text = sentence(rng, rng.randint(5, 9))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if kind == "flite":
            stretch = f"duration_stretch={rng.uniform(1.0, 1.5):.2f}"
            command = ["flite", "-voice", name, "--setf", stretch, "-t", text, "-o", str(path)]
        else:
            command = ["text2wave", "-eval", f"(voice_{name})", "-o", str(path)]
        subprocess.run(command, input=text.encode(), check=True, capture_output=True)
        return _read(path)


def _read(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: np.ndarray = soxr.resample(audio[:, 0], rate, RATE)
    return mono / (float(np.abs(mono).max()) + 1e-9)
