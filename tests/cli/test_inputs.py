"""Which songs `unweave separate` finds: folders, globs, standard input."""

import json
import sys
from pathlib import Path

import pytest
import torch

from unweave import audio

STEMS = ("vocals", "drums", "bass", "other")


def of(track, suffix="wav"):
    return sorted(f"{track}/{stem}.{suffix}" for stem in STEMS)


def rows(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_a_folder_is_mirrored_and_its_stems_are_not_separated_again(separate, song, written):
    for place in ("in/a.wav", "in/disc 1/a.flac", "in/disc 1/b.ogg", "in/.hidden/c.wav"):
        song(place)
    Path("in/cover.txt").write_text("no music")
    first = separate("in", "-o", "in/out")
    found = sorted(of("a") + of("disc 1/a") + of("disc 1/b"))
    assert written("in/out") == found
    assert first.out.splitlines()[-1] == "3 done, 0 skipped, 0 failed"
    again = separate("in", "-o", "in/out", "--overwrite")
    assert written("in/out") == found
    assert again.out.splitlines()[-1] == "3 done, 0 skipped, 0 failed"


def test_a_quoted_glob_finds_songs_but_not_the_stems_of_an_earlier_run(separate, song, written):
    song("a.wav")
    song("deep/er/b.wav")
    Path("notes.txt").write_text("no music")
    separate("**/*.wav")
    assert written() == sorted(of("a") + of("b"))
    assert separate("**/*.wav", "--overwrite").out.splitlines()[-1].startswith("2 done")
    assert separate("*.flac", code=1).complaints == ["unweave: no file matches '*.flac'"]
    separate("out/b/v*.wav", "-o", "out", "--json")
    assert written()[-4:] == of("vocals")


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(separate, song, written):
    song("song [live].wav")
    separate("song [live].wav")
    assert written() == of("song [live]")


def test_a_song_given_twice_is_done_once(separate, song):
    song()
    assert len(rows(separate("song.wav", "./song.wav", "--json"))) == 1


@pytest.mark.slow
def test_standard_input_is_a_song(shell, song, written):
    mixture, _ = audio.read(song("song.flac"))
    with Path("song.flac").open("rb") as pipe:
        process = shell("-", "--json", "--name", "{parent}-{track}-{stem}", stdin=pipe)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["input"] == "-"
    assert written() == sorted(f"stdin-stdin-{stem}.wav" for stem in STEMS)
    total = sum(audio.read(f"out/{path}")[0] for path in written())
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)


def test_a_name_that_begins_with_a_dash_is_told_how_to_give(separate, song, written):
    song("-d.wav")
    [line] = separate("-d.wav", code=2).complaints
    assert "./-d.wav" in line
    separate("./-d.wav")
    separate("--overwrite", "--", "-d.wav")
    assert written() == of("-d")


def test_nothing_on_standard_input_is_told(separate, monkeypatch, terminal):
    monkeypatch.setattr(sys, "stdin", terminal())
    [line] = separate("-", code=1).complaints
    assert "standard input" in line
