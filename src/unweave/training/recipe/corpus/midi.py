"""MIDI tunes split into drums, bass and other, and rendered with randomly chosen sounds.

The General MIDI standard fixes what belongs where: channel 10 is the drum kit, programs 33-40
are basses, 53-55 and 86 are voices (left out: an imitation of a voice in "other" would teach
the network to ignore real ones), 121-128 are sound effects (left out).
"""

import io
import random
import subprocess
import tempfile
from pathlib import Path

import mido
import numpy as np
import soundfile

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem

DRUM_CHANNEL = 9
DRUM_KITS = (0, 0, 0, 8, 16, 16, 24, 25, 32, 40)
BASS_PROGRAMS: tuple[int, ...] = (*range(32, 40), 87)
VOICE_PROGRAMS = (52, 53, 54, 85)
FIRST_EFFECT = 120


def wad_tunes(wad: Path) -> dict[str, bytes]:
    """Read the MIDI lumps of a Doom WAD archive.

    The directory holds, for each lump, offset, size (32-bit little-endian) and an
    eight-byte name; music lumps begin with the Standard MIDI File mark.
    """
    data = wad.read_bytes()
    count, directory = (int.from_bytes(data[i : i + 4], "little") for i in (4, 8))
    tunes = {}
    for entry in range(directory, directory + 16 * count, 16):
        offset, size = (int.from_bytes(data[entry + i : entry + i + 4], "little") for i in (0, 4))
        name = data[entry + 8 : entry + 16].rstrip(b"\0").decode("ascii", "replace").lower()
        if data[offset : offset + 4] == b"MThd":
            tunes[name] = data[offset : offset + size]
    return tunes


def split_tune(tune: bytes, rng: random.Random) -> dict[str, mido.MidiFile]:
    """Split a MIDI file by role and choose new sounds of the same families.

    Args:
        tune: a Standard MIDI File.
        rng: chooses drum kit, bass program and variants within each family of eight.

    Returns:
        One file each for the roles drums, bass and other that have notes.
    """
    midi = mido.MidiFile(file=io.BytesIO(tune), clip=True)
    swap = {program: _variant(program, rng) for program in range(128)}
    kit = rng.choice(DRUM_KITS)
    stems = {}
    for stem in ("drums", "bass", "other"):
        out = mido.MidiFile(ticks_per_beat=midi.ticks_per_beat)
        track = mido.MidiTrack()
        out.tracks.append(track)
        notes = _copy_role(mido.merge_tracks(midi.tracks), track, stem, swap)
        if stem == "drums":
            track.insert(0, mido.Message("program_change", channel=DRUM_CHANNEL, program=kit))
        if notes:
            stems[stem] = out
    return stems


def _copy_role(
    messages: mido.MidiTrack, track: mido.MidiTrack, stem: str, swap: dict[int, int]
) -> int:
    """Copy the messages of one role, with times kept, and count its notes."""
    program = [0] * 16
    waited = 0
    notes = 0
    for message in messages:
        waited += message.time
        if message.type == "program_change":
            program[message.channel] = message.program
        keep = message.is_meta and message.type == "set_tempo"
        if not message.is_meta and hasattr(message, "channel"):
            channel = message.channel
            if _role(channel, program[channel]) == stem:
                keep = True
                notes += int(message.type == "note_on")
            elif message.type != "note_on":
                keep = True  # controllers and note ends of other roles are harmless
        if keep:
            copy = message.copy(time=waited)
            if message.type == "program_change":
                if message.channel == DRUM_CHANNEL:
                    continue
                copy = copy.copy(program=swap[message.program])
            track.append(copy)
            waited = 0
    return notes


def _role(channel: int, program: int) -> str | None:
    if channel == DRUM_CHANNEL:
        return "drums"
    if program in BASS_PROGRAMS:
        return "bass"
    if program in VOICE_PROGRAMS or program >= FIRST_EFFECT:
        return None
    return "other"


def _variant(program: int, rng: random.Random) -> int:
    if program in BASS_PROGRAMS:
        return rng.choice(BASS_PROGRAMS)
    family = range(program // 8 * 8, program // 8 * 8 + 8)
    choices = [p for p in family if _role(0, p) == _role(0, program)]
    return rng.choice(choices) if choices and rng.random() < 0.5 else program


def render(midi: mido.MidiFile, soundfont: Path, *, reverb: bool, seconds: float) -> np.ndarray:
    """Play a MIDI file through FluidSynth.

    Args:
        midi: what to play.
        soundfont: SF2 or SF3 file.
        reverb: whether the synthesiser's reverb and chorus are on.
        seconds: keep at most this much.

    Returns:
        Samples of shape (time, 2), peak at most 0.9.
    """
    with tempfile.TemporaryDirectory() as folder:
        tune, wav = Path(folder) / "tune.mid", Path(folder) / "tune.wav"
        midi.save(tune)
        switch = "1" if reverb else "0"
        command = ["fluidsynth", "-ni", "-q", "-g", "0.4", "-r", str(SAMPLE_RATE)]
        command += ["-R", switch, "-C", switch, "-T", "wav", "-O", "float"]
        subprocess.run([*command, "-F", wav, soundfont, tune], check=True, capture_output=True)
        audio, _ = soundfile.read(wav, dtype="float32", frames=int(seconds * SAMPLE_RATE))
    peak = float(np.abs(audio).max()) if audio.size else 0.0
    scaled: np.ndarray = audio * (0.9 / peak) if peak > 0.9 else audio
    return scaled


def render_tunes(
    tunes: dict[str, bytes], soundfonts: list[Path], corpus: Path, *, seed: int, seconds: float
) -> int:
    """Render every tune once into the collection "midi-<seed>"; return how many were new.

    Args:
        tunes: name to Standard MIDI File.
        soundfonts: one is drawn for every stem.
        corpus: root of the corpus.
        seed: another seed gives another choice of sounds.
        seconds: length limit of a tune.
    """
    new = 0
    for name, tune in sorted(tunes.items()):
        target = corpus / f"midi-{seed}" / name
        if target.exists():
            continue
        rng = random.Random(f"{seed} {name}")
        try:
            stems = split_tune(tune, rng)
        except (EOFError, ValueError, KeyError) as error:
            print(f"{name}: left out ({error})")
            continue
        for stem, midi in stems.items():
            audio = render(midi, rng.choice(soundfonts), reverb=rng.random() < 0.5, seconds=seconds)
            write_stem(target, stem, audio)
        new += 1
    return new
