"""Songs invented whole: drums, bass, harmony and a sung tune that belong together.

Key, tempo, chords, patterns and sounds are drawn; every part is played either by `synth` or by a
sampled sound font, the tune is sung by `singing`. What is composed here is our own.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem
from unweave.training.recipe.corpus.midi import BASS_PROGRAMS, DRUM_CHANNEL, DRUM_KITS, render
from unweave.training.recipe.corpus.singing import draw_singer, sing
from unweave.training.recipe.corpus.synth import Event, draw_kit, draw_patch, drum, play
from unweave.training.recipe.corpus.voice import Note

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (0, 6, 5, 6), (0, 2, 3, 3),
    (1, 4, 0, 0), (0, 0, 3, 4), (0, 5, 1, 4), (0, 3, 0, 4),
)  # fmt: skip
# One bar of sixteenths by General MIDI key: chance of a hit in tenths.
GROOVES = (
    {
        36: "9000900090009000",
        39: "0000900000009000",
        42: "0090009000900090",
        46: "0020002000300030",
    },
    {
        36: "9001000093000100",
        38: "0000900100009002",
        42: "9090909090909090",
        49: "1000000000000000",
    },
    {
        36: "9020002009300000",
        38: "0000902002009010",
        42: "9191919191919191",
        46: "0000000000000050",
    },
    {
        36: "9000003000900010",
        39: "0000000090000000",
        42: "9292929393929599",
        45: "0000000000000022",
    },
    {
        36: "9000000000900000",
        38: "0000000090000000",
        42: "9000900090009000",
        45: "0000000000002233",
    },
    {
        36: "9003003090030030",
        38: "0000900000009000",
        46: "0090009000900090",
        45: "0000000000000202",
    },
)
FIGURES = {  # rhythm of one bar: start, length in beats
    "held": ((0, 4),),
    "half": ((0, 2), (2, 2)),
    "quarters": ((0, 1), (1, 1), (2, 1), (3, 1)),
    "eighths": tuple((i / 2, 0.45) for i in range(8)),
    "offbeat": ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5)),
    "dotted": ((0, 0.75), (0.75, 0.75), (1.5, 0.5), (2, 0.75), (2.75, 0.75), (3.5, 0.5)),
    "sixteenths": tuple((i / 4, 0.2) for i in range(16)),
    "push": ((0, 1.5), (1.5, 0.5), (2.5, 0.5), (3, 1)),
}
PROGRAMS = {  # General MIDI programs by role
    "pad": (*range(16, 24), *range(48, 52), *range(88, 91), *range(92, 96)),
    "pluck": (*range(0, 8), *range(11, 15), *range(24, 32), 45, 46, *range(104, 109)),
    "lead": (*range(40, 44), *range(56, 80), 80, 81, 82, 83, 84),
}


@dataclass(frozen=True)
class Plan:
    """What the parts of a song share.

    Attributes:
        beat: seconds.
        key: MIDI number of the tonic between 36 and 47.
        scale: semitones.
        chords: scale degree of every bar.
    """

    beat: float
    key: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]

    def pitch(self, degree: int) -> int:
        """Return the MIDI number of a scale degree; 7 degrees are an octave."""
        octave, step = divmod(degree, 7)
        return self.key + 12 * octave + self.scale[step]


def draw_plan(rng: random.Random, *, seconds: float) -> Plan:
    """Draw tempo, key and chords.

    Args:
        rng: chooses.
        seconds: length of the song.
    """
    beat = 60 / rng.uniform(70, 175)
    bars = int(seconds / (4 * beat)) + 1
    lines = [rng.choice(PROGRESSIONS) for _ in range(2)]
    chords = [c for i in range(bars // 4 + 1) for c in lines[(i // 2) % 2]]
    return Plan(beat, rng.randint(36, 47), rng.choice(SCALES), tuple(chords[:bars]))


def drum_part(plan: Plan, rng: random.Random) -> list[Event]:
    """Vary a groove bar by bar."""
    groove, part = rng.choice(GROOVES), []
    swing = rng.choice((0.0, 0.0, rng.uniform(0.02, 0.12))) * plan.beat
    for bar in range(len(plan.chords)):
        for key, chances in groove.items():
            for i, chance in enumerate(chances):
                if 10 * rng.random() < int(chance) * (10 / 9):
                    start = (4 * bar + i / 4) * plan.beat + swing * (i % 2)
                    loud = (1.0 if i % 4 == 0 else 0.75) * rng.uniform(0.7, 1.0)
                    part.append(Event(start, 0.2, key, loud))
    return part


def bass_part(plan: Plan, rng: random.Random) -> list[Event]:
    """Play the chords' roots with passing fifths, octaves and steps."""
    figure = FIGURES[rng.choice(tuple(FIGURES))]
    wander = rng.choice((0.0, 0.2, 0.5))
    low, part = 0 if plan.key > 40 else 7 * rng.randint(0, 1), []
    for bar, chord in enumerate(plan.chords):
        for start, length in figure:
            step = rng.choice((0, 4, 7, 2, -1)) if start and rng.random() < wander else 0
            pitch = plan.pitch(chord + step + low) - (12 if chord > 4 else 0)
            at = (4 * bar + start) * plan.beat
            part.append(Event(at, 0.95 * length * plan.beat, max(28, pitch), rng.uniform(0.8, 1)))
    return part


def chord_part(plan: Plan, rng: random.Random, role: str) -> list[Event]:
    """Play chords (pad), broken or struck chords (pluck) or a counter-melody (lead)."""
    names = {"pad": ("held", "half"), "lead": ("quarters", "eighths", "push", "half")}
    figure = FIGURES[rng.choice(names.get(role, tuple(FIGURES)))]
    broken = role == "lead" or (role == "pluck" and rng.random() < 0.5)
    tones = rng.choice(((0, 2, 4), (0, 2, 4, 6), (0, 4, 7), (0, 2, 4, 7)))
    register, part, motif = 7 * rng.randint(1, 3), [], [rng.randrange(4) for _ in range(16)]
    rest = rng.choice((0.0, 0.2)) if role == "lead" else 0.0
    for bar, chord in enumerate(plan.chords):
        for i, (start, length) in enumerate(figure):
            if rng.random() < rest:
                continue
            picked = (tones[motif[i] % len(tones)],) if broken else tones
            for late, step in enumerate(picked):
                at = (4 * bar + start) * plan.beat + 0.008 * late * (role == "pluck")
                pitch = plan.pitch(chord + step + register)
                part.append(Event(at, 0.95 * length * plan.beat, pitch, rng.uniform(0.6, 1)))
    return part


def tune(plan: Plan, rng: random.Random, centre: float) -> list[Note]:
    """Invent a melody over the chords, in phrases of two to four bars.

    Args:
        plan: of the song.
        rng: chooses.
        centre: MIDI number around which the singer's range lies.
    """
    home = 7 * round((centre - plan.key) / 12)
    degree, notes, bar = 0, [], rng.choice((0, 0, 2))
    while bar < len(plan.chords):
        length = rng.choice((2, 2, 4))
        values = rng.choice(((0.5, 0.5, 1), (0.25, 0.5, 0.5, 0.75), (0.5, 1, 1.5, 2)))
        now, end = 4 * bar + rng.choice((0, 0.5, 1)), 4 * (bar + length) - rng.choice((0.5, 1, 2))
        while now < end:
            held = min(rng.choice(values), end - now)
            chord = plan.chords[min(int(now / 4), len(plan.chords) - 1)]
            degree += rng.choice((-2, -1, -1, 0, 0, 1, 1, 2))
            degree = min(4, max(-5, degree))
            if now % 1 == 0 and (degree - chord) % 7 not in (0, 2, 4):
                degree += 1
            pitch = float(plan.pitch(home + degree))
            notes.append(Note(now * plan.beat, 0.95 * held * plan.beat, pitch))
            now += max(0.25, held)
        bar += length + rng.choice((0, 0, 1, 2))
    return notes


def to_midi(events: list[Event], program: int, *, drums: bool) -> mido.MidiFile:
    """Write a part as a MIDI file of one channel (120 beats a minute, so seconds stay).

    Args:
        events: the part.
        program: sound or drum kit.
        drums: whether it is a drum part.
    """
    channel = DRUM_CHANNEL if drums else 0
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    file.tracks.append(track)
    timed = [(e.start, "note_on", e.pitch, round(127 * e.velocity)) for e in events]
    timed += [(e.start + e.length, "note_off", e.pitch, 0) for e in events]
    now = 0
    for start, kind, pitch, velocity in sorted(timed):
        at = round(start * 960)
        message = mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=at - now)
        track.append(message)
        now = at
    return file


def compose(rng: random.Random, fonts: list[Path], *, seconds: float) -> dict[str, np.ndarray]:
    """Invent a song.

    Args:
        rng: chooses everything.
        fonts: sound fonts to draw from; none leaves everything to `synth`.
        seconds: length.

    Returns:
        Stems of shape (time, 2); vocals are missing in one song of six.
    """
    plan = draw_plan(rng, seconds=seconds)

    def sampled(part: list[Event], program: int, *, drums: bool = False) -> np.ndarray:
        file = to_midi(part, program, drums=drums)
        audio = render(file, rng.choice(fonts), reverb=rng.random() < 0.5, seconds=seconds)
        return np.pad(audio, ((0, int(seconds * SAMPLE_RATE) - len(audio)), (0, 0)))

    def sounds(part: list[Event], role: str, programs: tuple[int, ...]) -> np.ndarray:
        if fonts and rng.random() < 0.5:
            return sampled(part, rng.choice(programs))
        return play(part, draw_patch(rng, role), seconds=seconds)

    beats = drum_part(plan, rng)
    stems = {"bass": sounds(bass_part(plan, rng), "bass", BASS_PROGRAMS)}
    if fonts and rng.random() < 0.5:
        stems["drums"] = sampled(beats, rng.choice(DRUM_KITS), drums=True)
    else:
        stems["drums"] = drum(beats, draw_kit(rng), seconds=seconds)
    roles = rng.sample(("pad", "pluck", "lead", "pluck"), rng.randint(1, 3))
    layers = [sounds(chord_part(plan, rng, role), role, PROGRAMS[role]) for role in roles]
    other = sum(rng.uniform(0.4, 1.0) * layer for layer in layers)
    stems["other"] = np.asarray(other / max(1.0, float(np.abs(other).max())), np.float32)
    if rng.random() < 5 / 6:
        stems["vocals"] = _vocals(plan, rng, seconds=seconds)
    return stems


def thirds(plan: Plan, notes: list[Note]) -> list[Note]:
    """Raise a tune by a third of the plan's scale.

    Args:
        plan: whose scale the notes belong to.
        notes: the tune.
    """
    above = {plan.pitch(degree): plan.pitch(degree + 2) for degree in range(-28, 63)}
    return [Note(n.start, n.length, n.pitch and above[round(n.pitch)]) for n in notes]


def _vocals(plan: Plan, rng: random.Random, *, seconds: float) -> np.ndarray:
    lead = draw_singer(rng)
    notes = [note for note in tune(plan, rng, lead.centre) if note.start < seconds]
    voice = sing(lead, notes, rng, seconds=seconds)
    both = np.repeat(voice[:, None], 2, axis=1)
    if rng.random() < 0.3:
        second = sing(lead, thirds(plan, notes), rng, seconds=seconds)
        both += 0.5 * second[:, None] * np.array([0.9, 0.4], np.float32)
    return both / max(1.0, float(np.abs(both).max()))


def compose_songs(
    corpus: Path, fonts: list[Path], *, tracks: int, seed: int, seconds: float = 40.0
) -> int:
    """Write the collection "composed"; return how many songs were new.

    Args:
        corpus: root of the corpus.
        fonts: sound fonts to draw from.
        tracks: how many songs.
        seed: of everything.
        seconds: length of a song.
    """
    new = 0
    for i in range(tracks):
        target = corpus / "composed" / f"song-{seed}-{i:03d}"
        if target.exists():
            continue
        song = compose(random.Random(f"{seed} {i}"), fonts, seconds=seconds)
        for stem, audio in song.items():
            write_stem(target, stem, audio)
        new += 1
    return new
