"""What `unweave separate` says: tables, JSON, progress, and how much of it."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from unweave import audio

STEMS = ("vocals", "drums", "bass", "other")


def rows(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_a_path_wider_than_a_terminal_and_with_markup_stays_in_one_line(separate, song):
    name = "[red] :smile: " + "long " * 30 + "name"
    song(f"{name}.wav")
    assert f"out/{name}/vocals.wav" in separate(f"{name}.wav").out


def test_json_is_one_object_a_song_and_nothing_else(separate, song):
    song("a.wav")
    song("b.wav", level=0)
    Path("bad.wav").write_text("no music")
    told = separate("a.wav", "bad.wav", "b.wav", "gone.wav", "--json", "-v", code=1)
    found = {row["input"]: row for row in rows(told)}
    assert set(found) == {"a.wav", "b.wav", "bad.wav", "gone.wav"}
    for name in ("bad.wav", "gone.wav"):
        assert found[name]["status"] == "failed"
        assert name in found[name]["error"]
    row = found["a.wav"]
    assert row["status"] == "ok"
    assert row["track"] == "a"
    assert row["seconds"] == pytest.approx(0.3)
    assert row["real_time_factor"] > 0
    assert row["sample_rate"] == 44100
    assert row["gain"] == 1
    assert set(row["stems"]) == set(STEMS)
    for stem in STEMS:
        facts = row["stems"][stem]
        signal, _ = audio.read(facts["path"])
        assert facts["peak"] == pytest.approx(float(signal.abs().max()), rel=1e-5)
        assert facts["loudness"] is None or facts["loudness"] < 0
    assert found["b.wav"]["stems"]["vocals"] == {
        "path": str(Path("out/b/vocals.wav")),
        "peak": 0.0,
        "loudness": None,
    }


def test_progress_json_is_one_event_a_line_on_stderr(separate, song):
    song(seconds=1.5)
    told = separate("song.wav", "--progress", "json", "--segment", "0.5", "--json")
    assert len(rows(told)) == 1
    events = [json.loads(line) for line in told.err.splitlines()]
    assert {event["event"] for event in events} == {"progress"}
    assert {event["input"] for event in events} == {"song.wav"}
    assert [event["done"] for event in events] == sorted(event["done"] for event in events)
    assert events[-1]["done"] == pytest.approx(1.5)
    assert {event["total"] for event in events} == {1.5}


@pytest.mark.parametrize("style", ["auto", "none"])
def test_no_progress_is_shown_where_stderr_is_no_terminal(separate, song, style):
    assert separate(song(), "--progress", style).err == ""


def test_bars_on_a_terminal_leave_stdout_alone(separate, song, monkeypatch, terminal):
    song("[red] :smile:.wav", seconds=1)
    screen = terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    told = separate("[red] :smile:.wav", "--json", "--segment", "0.3", "--workers", "2")
    assert len(rows(told)) == 1
    assert "[red] :smile:.wav" in screen.getvalue()
    assert '"status"' not in screen.getvalue()


def test_several_songs_have_a_bar_that_counts_them(separate, song, monkeypatch, terminal):
    song("a.wav")
    song("b.wav")
    screen = terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    separate("a.wav", "b.wav", "gone.wav", "--quiet", code=1)
    assert "songs" not in screen.getvalue()
    separate("a.wav", "b.wav", "gone.wav", "--json", "--overwrite", code=1)
    assert "0 of 3 songs" in screen.getvalue()
    screen.truncate(0)
    separate("a.wav", "--json", "--overwrite")
    assert "songs" not in screen.getvalue()


def test_json_fits_into_a_terminal_that_knows_ascii_only(shell, song):
    song("é🎸.wav")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    process = shell("é🎸.wav", "gone-ü.wav", "--json", "--progress", "json", env=environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    told = [json.loads(line) for line in out.decode("ascii").splitlines()]
    assert {row["input"] for row in told} == {"é🎸.wav", "gone-ü.wav"}
    events = [json.loads(line) for line in err.decode("ascii").splitlines() if line[0] == "{"]
    assert {event["input"] for event in events} == {"é🎸.wav"}


def test_what_is_too_short_for_a_loudness_is_not_called_silent(separate, song):
    song("short.wav", seconds=0.1)
    song("still.wav", level=0)
    lines = separate("short.wav").out.splitlines()
    [vocals] = [line.split() for line in lines if line.startswith(" vocals")]
    assert float(vocals[-2]) < 0
    assert vocals[-1] == "-"
    lines = separate("still.wav").out.splitlines()
    [vocals] = [line.split() for line in lines if line.startswith(" vocals")]
    assert vocals[-2:] == ["silent", "silent"]


def test_quiet_says_nothing_but_errors(separate, song):
    song()
    told = separate("song.wav", "gone.wav", "-q", "--progress", "bar", code=1)
    assert told.out == ""
    assert len(told.complaints) == 1
    assert "gone.wav" in told.err


def test_verbose_tells_of_model_device_and_stems(separate, song):
    assert separate(song(), "-v").err == "BandMaskNet on cpu: vocals, drums, bass, other\n"


def test_debug_shows_the_traceback_of_a_song_and_of_the_command(separate, song):
    song()
    assert "Traceback" in separate("gone.wav", "--debug", code=1).err
    told = separate("song.wav", "--stems", "voice", "--debug", code=2)
    assert "Traceback" in told.err
    assert told.complaints[-1].startswith("unweave: unknown stem 'voice'")


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_name_that_is_no_text_is_told_as_json_knows_it(separate, song):
    song()
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    shutil.copy("song.wav", name)
    [row] = rows(separate(name, "--json"))
    assert row["input"] == name
    assert Path(row["stems"]["bass"]["path"]).exists()
    assert "caf\\udce9: 0.3 s of music" in separate(name, "--overwrite").out
