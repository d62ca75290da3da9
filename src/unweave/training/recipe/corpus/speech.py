"""Speech to be sung: recorded sentences and permissively licensed synthesisers.

What `apt-get install festvox-ru gcin-voice flite festival festvox-kdlpc16k pocketsphinx-testdata
asterisk-prompt-fr-armelle` brings:

- 620 sentences recorded by a Russian man, N. Shmyrev's voice msu_ru_nsh (licence of the BSD kind);
- 1158 Mandarin syllables recorded by a woman, "ChionMeilin with the vocal source from Chu Lo"
  (CC-BY 3.0; only the files 5.ogg, the others of that package are GPL);
- five sentences of *Sense and Sensibility* read by a man for LibriVox (public domain; the package
  BSD-2);
- 170 French prompts by Armelle Desjardins (licence of the BSD kind; telephone band);
- Flite's voices of Carnegie Mellon University (kal, awb, rms: men; slt: a woman) and Festival's
  ked of the University of Edinburgh (a man): licences of the BSD kind.

And, of Debian's sections contrib and non-free, `festvox-rablpc16k festvox-don libttspico-utils
open-jtalk hts-voice-nitech-jp-atr503-m001`:

- rab and don, two men of the University of Edinburgh (licence of the MIT kind). They are given
  phones, for the dictionary that comes along, OALD, is not free and is not used;
- SVOX Pico's six women (Apache 2.0);
- Nagoya Institute of Technology's man m001 (CC-BY 3.0). Its woman Mei (CC-BY 3.0, by the MMDAgent
  project) is the file mei_normal.htsvoice of the Python package pyopenjtalk; put it anywhere below
  /usr/share/hts-voice.
"""

import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from unweave.training.recipe.corpus.throat import widen

RATE = 16000
RECORDED = {  # name: folder, files, a woman's?
    "nsh": (Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav"), "*.wav", False),
    "chion": (Path("/usr/share/gcin-voice/ogg"), "*/5.ogg", True),
    "austen": (Path("/usr/share/pocketsphinx/test/data/librivox"), "*.wav", False),
    "armelle": (Path("/usr/share/asterisk/sounds/fr"), "*.gsm", True),
}
FLITE = {"kal16": False, "awb": False, "rms": False, "slt": True}  # name: a woman's?
FESTIVAL = {"ked_diphone": False}
PHONES = {"rab_diphone": False, "don_diphone": False}
PICO = dict.fromkeys(("en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it-IT"), True)
JTALK = {"nitech_jp_atr503_m001": False, "mei_normal": True}
PROGRAMS = {
    "flite": ("flite", FLITE),
    "festival": ("text2wave", FESTIVAL),
    "phones": ("festival", PHONES),
    "pico": ("pico2wave", PICO),
    "jtalk": ("open_jtalk", JTALK),
}
HTS_VOICES = Path("/usr/share/hts-voice")
MECAB = "/var/lib/mecab/dic/open-jtalk/naist-jdic"
ONSETS = ("", "l", "m", "n", "d", "b", "r", "s", "sh", "t", "k", "f", "v", "g", "y", "h", "st", "w")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ow", "ee", "oo", "ar", "ay")
BRITISH = (
    "p t k b d g s z sh f v th ch jh h m n l y r w",
    "e a o i u ii uu oo aa @@ ai ei oi au ou",
)
MORAS = (
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモ"
    "ヤユヨラリルレロワガギグゲゴザジズゼゾダデドバビブベボパピプペポ"
)
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


def nonsense(rng: random.Random, words: int) -> str:
    """Invent open syllables, which every language can read.

    Args:
        rng: chooses.
        words: how many.
    """
    syllables = [c + v for c in ("", *"bdfgklmnprstv") for v in "aeiou"]
    return " ".join("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(words))


def installed() -> list[tuple[str, str, bool]]:
    """List the speakers at hand.

    Returns:
        Kind ("recorded" or one of `PROGRAMS`), name, and whether the speaker is a woman.
    """
    found = [
        ("recorded", name, woman)
        for name, (folder, files, woman) in RECORDED.items()
        if any(folder.glob(files))
    ]
    for kind, (program, voices) in PROGRAMS.items():
        if shutil.which(program):
            found += [(kind, name, woman) for name, woman in voices.items() if _has(kind, name)]
    return found


def _has(kind: str, name: str) -> bool:
    """Tell whether a program has a voice; Flite has its own inside."""
    if kind == "jtalk":
        return any(HTS_VOICES.rglob(f"{name}.htsvoice"))
    places = {
        "festival": Path("/usr/share/festival/voices/english") / name,
        "phones": Path("/usr/share/festival/voices/english") / name,
        "pico": Path("/usr/share/pico/lang") / f"{name}_ta.bin",
    }
    return kind not in places or places[kind].exists()


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        build = {"pico": _pico, "jtalk": _jtalk, "phones": _phones}.get(kind, _english)
        command, text = build(name, rng, str(path))
        subprocess.run(command, input=text.encode(), check=True, capture_output=True)
        return _read(path)


def _english(name: str, rng: random.Random, path: str) -> tuple[list[str], str]:
    text = sentence(rng, rng.randint(5, 9))
    if name in FESTIVAL:
        return ["text2wave", "-eval", f"(voice_{name})", "-o", path], text
    stretch = f"duration_stretch={rng.uniform(1.0, 1.5):.2f}"
    return ["flite", "-voice", name, "--setf", stretch, "-t", text, "-o", path], ""


def _phones(name: str, rng: random.Random, path: str) -> tuple[list[str], str]:
    """Command of a British diphone voice, told which phones to say."""
    syllables = []
    for _ in range(rng.randint(10, 20)):
        syllables += [rng.choice(phones.split()) for phones in BRITISH]
        if rng.random() < 0.15:
            syllables.append("#")
    script = (
        f"(begin (voice_{name}) (Parameter.set 'Duration_Stretch {rng.uniform(1.0, 1.6):.2f})"
        f" (set! u (Utterance Phones (# {' '.join(syllables)} #))) (utt.synth u)"
        f' (utt.save.wave u "{path}" \'riff))'
    )
    return ["festival", "-b", script], ""


def _pico(name: str, rng: random.Random, path: str) -> tuple[list[str], str]:
    """Command of an SVOX voice; its own pitch and speed are varied, too."""
    words = rng.randint(6, 12)
    text = sentence(rng, words) if name.startswith("en") else nonsense(rng, words)
    pitch, speed = rng.randint(75, 150), rng.randint(60, 100)
    marked = f'<pitch level="{pitch}"><speed level="{speed}">{text}</speed></pitch>'
    return ["pico2wave", "-l", name, "-w", path, marked], ""


def _jtalk(name: str, rng: random.Random, path: str) -> tuple[list[str], str]:
    """Command of a Japanese voice: moras by chance, pitch, speed and length of throat varied."""
    voice = next(HTS_VOICES.rglob(f"{name}.htsvoice"))
    # The all-pass constant bends the frequency axis; 0.55 is neutral at 48 kHz.
    throat, shift, speed = rng.uniform(0.52, 0.58), rng.uniform(-2, 6), rng.uniform(0.6, 1.1)
    command = ["open_jtalk", "-x", MECAB, "-m", str(voice), "-ow", path]
    command += ["-a", f"{throat:.3f}", "-fm", f"{shift:.1f}", "-r", f"{speed:.2f}"]
    moras = [rng.choice(MORAS) + rng.choice(("", "", "ー", "ン")) for _ in range(20)]
    return command, "".join(moras)


def _read(path: Path) -> np.ndarray:
    if path.suffix == ".gsm":
        raw = {"samplerate": 8000, "channels": 1, "format": "RAW", "subtype": "GSM610"}
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True, **raw)
    else:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = widen(audio[:, 0], rate, RATE).astype(np.float32)
    return mono / (float(np.abs(mono).max()) + 1e-9)
