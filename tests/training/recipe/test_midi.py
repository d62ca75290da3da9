import io
import random

import mido
import pytest

from unweave.training.recipe.corpus import midi


def tune():
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    for channel, program in ((0, 30), (1, 33), (2, 53)):
        track.append(mido.Message("program_change", channel=channel, program=program))
    for channel, note in ((0, 60), (1, 40), (2, 70), (9, 36), (9, 38)):
        track.append(mido.Message("note_on", channel=channel, note=note, velocity=90, time=120))
        track.append(mido.Message("note_off", channel=channel, note=note, time=120))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def notes(file):
    return [(m.channel, m.note) for m in file.tracks[0] if m.type == "note_on"]


def test_notes_go_to_their_role_and_keep_their_time():
    stems = midi.split_tune(tune(), random.Random(0))
    assert notes(stems["drums"]) == [(9, 36), (9, 38)]
    assert notes(stems["bass"]) == [(1, 40)]
    assert notes(stems["other"]) == [(0, 60)]
    clock = 0
    for message in stems["bass"].tracks[0]:
        clock += message.time
        if message.type == "note_on":
            break
    assert clock == 120 + 240


def test_sounds_stay_within_their_role():
    for seed in range(20):
        stems = midi.split_tune(tune(), random.Random(seed))
        for stem, allowed in (("bass", midi.BASS_PROGRAMS), ("other", range(24, 32))):
            track = stems[stem].tracks[0]
            on = next(m for m in track if m.type == "note_on").channel
            programs = [m.program for m in track if m.type == "program_change" and m.channel == on]
            assert programs[-1] in allowed


def test_a_wad_gives_its_midi_lumps(tmp_path):
    song, other = tune(), b"not music"
    directory = b"".join(
        (offset).to_bytes(4, "little") + len(data).to_bytes(4, "little") + name
        for offset, data, name in ((12, song, b"D_RUNNIN"), (12 + len(song), other, b"THINGS\0\0"))
    )
    head = b"IWAD" + (2).to_bytes(4, "little") + (12 + len(song + other)).to_bytes(4, "little")
    path = tmp_path / "game.wad"
    path.write_bytes(head + song + other + directory)
    assert midi.wad_tunes(path) == {"d_runnin": song}


def test_a_damaged_tune_is_refused():
    with pytest.raises((EOFError, ValueError, OSError)):
        midi.split_tune(tune()[:40], random.Random(0))
