"""Turn speech into singing: pitch-synchronous overlap-add along a new melody and rhythm.

The recorded waveform itself is rearranged, one pitch period at a time, so formants, consonants
and the grain of the voice stay; only when and at which pitch the periods sound is new.

References:
    E. Moulines, F. Charpentier, "Pitch-synchronous waveform processing techniques for
    text-to-speech synthesis using diphones", Speech Communication 9, 1990.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr

from unweave.training.recipe.corpus import SAMPLE_RATE
from unweave.training.recipe.corpus.speech import RATE
from unweave.training.recipe.corpus.throat import replicate

HOP = RATE // 200  # 5 ms
WINDOW = 640
LOW, HIGH = 70.0, 520.0  # hertz of a speaking voice


@dataclass(frozen=True)
class Speech:
    """Analysed speech.

    Attributes:
        audio: mono samples at `RATE`.
        pitch: hertz, of every frame of 5 ms; interpolated where there is none.
        voiced: whether a frame has a pitch.
        marks: sample positions, one a period (every 5 ms where unvoiced).
        syllables: rows of first frame, loudest frame, end frame.
    """

    audio: np.ndarray
    pitch: np.ndarray
    voiced: np.ndarray
    marks: np.ndarray
    syllables: np.ndarray


@dataclass(frozen=True)
class Note:
    """One sung note.

    Attributes:
        start: seconds.
        length: seconds.
        pitch: MIDI number; None speaks the syllable with its own intonation.
        turns: more notes on the same syllable: seconds from the start, MIDI number.
    """

    start: float
    length: float
    pitch: float | None
    turns: tuple[tuple[float, float], ...] = ()


def analyse(audio: np.ndarray) -> Speech:
    """Find pitch, periods and syllables of speech.

    Args:
        audio: mono samples at `RATE`.
    """
    frames = _frames(audio)
    pitch, voiced, energy = _track(frames)
    return Speech(audio, pitch, voiced, _marks(audio, pitch, voiced), _syllables(energy * voiced))


def _frames(audio: np.ndarray) -> np.ndarray:
    padded = np.pad(audio, WINDOW // 2)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)


def _track(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch by autocorrelation, voicing, and the root-mean-square of every frame."""
    power = np.abs(np.fft.rfft(frames, 2 * WINDOW)) ** 2
    # Voices are told by their lower partials: above 1.5 kHz breath weighs too much.
    power[:, 120:] = 0
    correlation = np.fft.irfft(power)[:, :WINDOW]
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(WINDOW), 2 * WINDOW)) ** 2)[:WINDOW]
    shortest, longest = int(RATE / HIGH), int(RATE / LOW)
    lags = np.arange(shortest, longest)
    score = correlation[:, lags] / (taper[lags] / taper[0]) / (correlation[:, :1] + 1e-9)
    best = (score - 0.1 * np.log2(lags / shortest)).argmax(1)  # prefers the octave above
    energy = np.sqrt(np.mean(np.square(frames), axis=1))
    sounding = energy > 0.03 * np.quantile(energy, 0.95)
    voiced = (score[np.arange(len(best)), best] > 0.55) & sounding
    voiced = np.convolve(voiced, np.ones(5), mode="same") > 2
    at = np.flatnonzero(voiced)
    if not len(at):
        return np.full(len(frames), 150.0), voiced, energy
    middle = np.lib.stride_tricks.sliding_window_view(np.pad(lags[best], 3, mode="edge"), 7)
    pitch = np.interp(np.arange(len(frames)), at, RATE / np.median(middle, axis=1)[at])
    return pitch, voiced, energy


def _marks(audio: np.ndarray, pitch: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Walk from period to period, staying on the peaks of the voice's lower partials."""
    smooth = np.convolve(audio, np.hanning(15) / 7, mode="same")
    marks, now = [], float(HOP)
    while now < len(audio) - HOP:
        frame = min(int(now) // HOP, len(pitch) - 1)
        if not voiced[frame]:
            marks.append(now)
            now += HOP
            continue
        period = RATE / pitch[frame]
        reach = int(period / 4)
        first = max(0, int(now) - reach)
        now = first + float(smooth[first : int(now) + reach + 1].argmax())
        if marks and now <= marks[-1]:
            now = marks[-1] + period / 2
        marks.append(now)
        now += period
    return np.array(marks)


def _syllables(strength: np.ndarray) -> np.ndarray:
    """Cut between the peaks of the smoothed voiced energy, at least 100 ms apart."""
    smooth = np.convolve(strength, np.hanning(17) / 8, mode="same")
    inner = smooth[1:-1]
    peaks = 1 + np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:]))
    peaks = peaks[smooth[peaks] > 0.1 * smooth.max(initial=1e-9)]
    kept: list[int] = []
    for peak in peaks:
        if kept and peak - kept[-1] < 20:
            kept[-1] = peak if smooth[peak] > smooth[kept[-1]] else kept[-1]
        else:
            kept.append(int(peak))
    cuts = [a + int(smooth[a:b].argmin()) for a, b in pairwise(kept)]
    first = [max(0, p - 60) for p in kept[:1]]
    last = [min(len(strength) - 1, p + 60) for p in kept[-1:]]
    starts = np.maximum([*first, *cuts], np.array(kept, int) - 60)
    ends = np.minimum([*cuts, *last], np.array(kept, int) + 60)
    return np.stack([starts, kept, ends], axis=1).astype(int) if kept else np.zeros((0, 3), int)


def timeline(speech: Speech, notes: list[Note], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay syllables under notes: vowels begin with the note and are held, consonants are not.

    Args:
        speech: where the syllables come from, in their order, from the start again when used up.
        notes: in order of time.
        frames: of 5 ms, of the result.

    Returns:
        For every frame, which frame of the speech sounds (-1: none), and the target pitch in
        hertz.
    """
    source, pitch = np.full(frames, -1.0), np.zeros(frames)
    ends = [*(note.start for note in notes[1:]), np.inf]
    for i, (note, following) in enumerate(zip(notes, ends, strict=True)):
        first, peak, end = speech.syllables[i % len(speech.syllables)]
        start, held = round(note.start * 200), max(8, round(note.length * 200))
        hold = (max(first, peak - 6), min(end, peak + 6))
        onset = min(hold[0] - first, start)
        tail = min(end - hold[1], max(0, held - 8))
        path = np.concatenate(
            [
                np.arange(hold[0] - onset, hold[0]),
                np.linspace(hold[0], hold[1], held - tail, endpoint=False),
                np.arange(hold[1], hold[1] + tail),
            ]
        )
        stop = min(start - onset + len(path), frames, round(min(following, 1e6) * 200))
        path = path[: max(0, stop - start + onset)]
        place = slice(start - onset, start - onset + len(path))
        source[place] = path
        own = speech.pitch[path.astype(int)]
        pitch[place] = own if note.pitch is None else hertz(note.pitch)
        for seconds, number in note.turns:
            pitch[min(start + round(seconds * 200), place.stop) : place.stop] = hertz(number)
    return source, pitch


def hertz(pitch: float) -> float:
    """Turn a MIDI number into hertz.

    Args:
        pitch: MIDI number, 69 is 440 Hz.
    """
    return float(440 * 2 ** ((pitch - 69) / 12))


def rearrange(
    speech: Speech,
    source: np.ndarray,
    pitch: np.ndarray,
    jitter: np.random.Generator,
    *,
    rough: float = 0.0,
) -> np.ndarray:
    """Sound the periods of speech along a timeline.

    Args:
        speech: where the periods come from.
        source: frame of the speech at every frame of the result; -1 is silence.
        pitch: hertz, at every frame of the result.
        jitter: draws neighbouring periods, lest a held vowel be one period repeated.
        rough: how unlike one another periods are, and every second one weaker; 0.3 is hoarse.

    Returns:
        Mono samples at `RATE`.
    """
    out = np.zeros(len(source) * HOP + 2 * WINDOW)
    audio = np.pad(speech.audio, WINDOW)
    nearest = np.searchsorted(speech.marks, np.arange(len(speech.pitch)) * HOP)
    nearest = np.minimum(nearest, len(speech.marks) - 1)
    now, weak = 0.0, False
    while now < len(source) * HOP:
        frame = int(now) // HOP
        if source[frame] < 0:
            now = (frame + 1.0) * HOP
            continue
        origin = min(int(source[frame]), len(nearest) - 1)
        step = RATE / pitch[frame] if speech.voiced[origin] else HOP
        own = RATE / speech.pitch[origin] if speech.voiced[origin] else HOP
        mark = int(np.clip(nearest[origin] + jitter.integers(-1, 2), 0, len(speech.marks) - 1))
        reach = int(min(own, 1.6 * step, WINDOW))
        centre = int(speech.marks[mark]) + WINDOW
        grain = audio[centre - reach : centre + reach] * np.hanning(2 * reach)
        # Denser periods would be louder: a voice keeps its level when it climbs.
        weak = not weak
        grain *= (step / own) ** 0.5 * (1 - rough * (weak + 0.4 * jitter.standard_normal()))
        out[int(now) + WINDOW - reach : int(now) + WINDOW + reach] += grain
        now += step * (1 + (0.005 + 0.05 * rough) * jitter.standard_normal())
    return out[WINDOW:-WINDOW]


def brighten(audio: np.ndarray, level: float) -> np.ndarray:
    """Raise to 44.1 kHz and copy 5.0-7.3 kHz into the empty bands above (band replication).

    Args:
        audio: mono samples at `RATE`.
        level: amplitude of the first copy relative to its origin; each further one has it again.

    Returns:
        Mono samples at 44.1 kHz.
    """
    up = soxr.resample(audio, RATE, SAMPLE_RATE)
    return replicate(up, SAMPLE_RATE, (5000, 7300), level=level)
