import random

import numpy as np
import pytest

from unweave.training.recipe.corpus import compose


def test_parts_follow_the_chords():
    for seed in range(10):
        rng = random.Random(seed)
        plan = compose.draw_plan(rng, seconds=20)
        allowed = {(plan.key + s) % 12 for s in plan.scale}
        parts = [compose.bass_part(plan, rng)]
        parts += [compose.chord_part(plan, rng, role) for role in ("pad", "pluck", "lead")]
        for part in parts:
            assert part
            raised = {e.pitch % 12 for e in part if e.pitch > 28}
            assert raised <= allowed
        assert {round(n.pitch) % 12 for n in compose.tune(plan, rng, 60.0)} <= allowed


def test_basses_are_low_and_tunes_are_singable():
    for seed in range(20):
        rng = random.Random(seed)
        plan = compose.draw_plan(rng, seconds=30)
        bass = [e.pitch for e in compose.bass_part(plan, rng)]
        assert min(bass) >= 28
        assert np.median(bass) < 62
        tune = [n.pitch for n in compose.tune(plan, rng, 60.0)]
        assert np.abs(np.array(tune) - 60).max() <= 16


@pytest.mark.parametrize("centre", [45.0, 59.0, 69.0])
def test_second_voices_sing_thirds_of_the_key(centre):
    for seed in range(20):
        rng = random.Random(seed)
        plan = compose.draw_plan(rng, seconds=30)
        low = compose.tune(plan, rng, centre)
        above = [n.pitch for n in compose.thirds(plan, low)]
        steps = {round(b - a.pitch) for a, b in zip(low, above, strict=True)}
        assert steps <= {3, 4}
        assert {round(p - plan.key) % 12 for p in above} <= set(plan.scale)


def test_midi_keeps_the_times():
    part = [compose.Event(0.5, 0.25, 60, 1.0), compose.Event(0.5, 1.0, 64, 0.5)]
    file = compose.to_midi(part, 5, drums=False)
    assert file.length == pytest.approx(1.5, abs=0.01)
    on = [m for m in file.tracks[0] if m.type == "note_on"]
    assert {m.note for m in on} == {60, 64}
    assert {m.velocity for m in on} == {127, 64}
    assert compose.to_midi(part, 5, drums=True).tracks[0][0].channel == 9


@pytest.mark.usefixtures("speaker")
def test_songs_have_aligned_sounding_stems(tmp_path):
    assert compose.compose_songs(tmp_path, [], tracks=8, seed=0, seconds=3) == 8
    assert compose.compose_songs(tmp_path, [], tracks=8, seed=0, seconds=3) == 0
    song = compose.compose(random.Random("0 0"), [], seconds=4)
    assert {"drums", "bass", "other"} <= set(song)
    for audio in song.values():
        assert audio.shape == (4 * 44100, 2)
        assert audio.dtype == np.float32
        assert 0.01 < np.abs(audio).max() <= 1
    names = {path.name for path in tmp_path.rglob("*.wav")}
    assert {"drums.wav", "bass.wav", "other.wav"} <= names
