"""`unweave plot`: pictures of files."""

import json
from pathlib import Path

import pytest
from PIL import Image


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


@pytest.mark.parametrize(
    "words",
    [
        ("spectrogram", "a.wav"),
        ("spectrogram", "a.wav", "b.wav", "--scale", "log", "--start", "0.1"),
        ("waveform", "a.wav", "b.wav"),
        ("stems", "a.wav", "b.wav"),
        ("compare", "a.wav", "b.wav", "--duration", "0.2"),
        ("curves", "metrics.csv"),
        ("curves", "metrics.csv", "again.csv"),
    ],
)
def test_pictures(run, song, words):
    song("a.wav")
    song("b.wav")
    for name in ("metrics", "again"):
        Path(f"{name}.csv").write_text("epoch,train_loss,val_loss\n0,2.0,2.5\n1,1.0,\n")
    assert run("plot", *words).out == "plot.png\n"
    picture = Image.open("plot.png").convert("L")
    assert min(picture.size) > 200
    assert picture.getextrema()[0] < 100 < 250 < picture.getextrema()[1]


def test_a_folder_of_stems_as_json(run, song):
    for name in ("drums", "mixture", "vocals"):
        song(f"stems/{name}.wav")
    told = run("plot", "stems", "stems", "-o", "sheet.svg", "--json")
    assert json.loads(told.out) == {"kind": "stems", "inputs": ["stems"], "output": "sheet.svg"}
    text = Path("sheet.svg").read_text()
    assert [text.index(f"<!-- {n} -->") for n in ("mixture", "vocals", "drums")] == sorted(
        text.index(f"<!-- {n} -->") for n in ("mixture", "vocals", "drums")
    )


def test_an_existing_picture_is_kept(run, song):
    song("a.wav")
    Path("plot.png").write_text("mine")
    assert "'plot.png' exists" in only_line(run("plot", "waveform", "a.wav", code=1))
    assert Path("plot.png").read_text() == "mine"
    run("plot", "waveform", "a.wav", "--overwrite")
    assert Path("plot.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["waveform", "none.wav"], "none.wav", 1),
        (["compare", "a.wav"], "compare takes two files", 2),
        (["compare", "a.wav", "slow.wav"], "sample rates differ (estimate 44100", 1),
        (["compare", "a.wav", "long.wav"], "must have the same shape", 2),
        (["waveform", "a.wav", "--start", "9"], "behind the end of 'a.wav'", 2),
        (["waveform", "a.wav", "-o", "a.bmpx"], "suffix must be one of", 2),
        (["curves", "a.csv"], "a.csv", 1),
        (["stems", "empty"], "holds no audio files", 1),
    ],
)
def test_what_cannot_be_drawn(run, song, words, text, code):
    song("a.wav")
    song("slow.wav", rate=22050)
    song("long.wav", seconds=0.5)
    Path("empty").mkdir()
    Path("a.csv").write_text("what,else\n1,2\n")
    assert text in only_line(run("plot", *words, code=code))
    assert not Path("plot.png").exists()
