"""`unweave decompose`: a song to components, factors, a picture and matches."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unweave import audio
from unweave.decomposition import match_components

RATE = 8000
SMALL = ("--n-fft", "256", "--hop", "64")
cuda = torch.cuda.is_available()


@pytest.fixture
def song() -> Path:
    """Three tones, one after the other and together, in stereo, with their true sounds."""
    time = torch.arange(4 * RATE) / RATE
    sounds = []
    for place, pitch in enumerate((300.0, 700.0, 1900.0)):
        alone = (time >= place) & (time < place + 1)
        on = torch.where(alone | (time >= 3), torch.sin(torch.pi * time).square(), 0.0)
        tone = (0.3 - 0.08 * place) * on * torch.sin(2 * torch.pi * pitch * time)
        sounds.append(torch.stack([tone, (0.3 + 0.1 * place) * tone]))
    for place, sound in enumerate(sounds):
        Path("true").mkdir(exist_ok=True)
        audio.write(f"true/tone{place}.wav", sound, RATE)
    audio.write("song.wav", sum(sounds), RATE)
    return Path("song.wav")


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def read(folder, pattern="component-*.wav"):
    return torch.stack([audio.read(path)[0] for path in sorted(Path(folder).glob(pattern))])


@pytest.mark.parametrize("method", ["nmf", "snpa", "spa", "xray", "greedy"])
def test_components_are_the_sources(run, song, written, method):
    words = ("--method", method, "-k", "3", *SMALL, "-o", "out", "--references", "true", "--json")
    told = json.loads(run("decompose", song, *words).out)
    names = [f"component-0{n}.wav" for n in (1, 2, 3)]
    assert written() == [*names, "components.png", "factors.npz", "matches.csv"]
    whole, parts = audio.read(song)[0], read("out")
    assert parts.shape == (3, 2, 4 * RATE)
    assert (parts.sum(0) - whole).abs().max() < 1e-6
    assert told["residual_db"] < -110
    true = read("true", "tone*.wav")
    expected = match_components(true, parts)
    assert sorted(expected.indices.tolist()) == [0, 1, 2]
    assert float(expected.scores.min()) > 15
    for row, (index, score) in enumerate(zip(expected.indices, expected.scores, strict=True)):
        found = told["matches"][row]
        assert (found["reference"], found["component"]) == (
            f"tone{row}",
            f"component-0{int(index) + 1}",
        )
        assert found["si_sdr"] == pytest.approx(float(score), abs=1e-3)
    with Path("out/matches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reference"] for row in rows] == ["tone0", "tone1", "tone2"]
    with Image.open("out/components.png") as picture:
        assert min(picture.size) > 400


def test_factors_need_no_pickle_and_are_in_the_order_of_the_sounds(run, song):
    run("decompose", song, "-k", "3", *SMALL, "-o", "out")
    with np.load("out/factors.npz", allow_pickle=False) as factors:
        W, H = factors["W"], factors["H"]
        assert (int(factors["sample_rate"]), int(factors["hop_length"])) == (RATE, 64)
        assert np.all(np.diff(factors["objective"]) <= 0)
    assert W.shape == (129, 3)
    energy = (W**2).sum(0) * (H**2).sum(1)
    assert np.all(np.diff(energy) <= 0)
    loudness = read("out").square().sum((1, 2))
    assert loudness.argsort(descending=True).tolist() == [0, 1, 2]


def test_the_song_beside_its_stems_is_no_reference_and_left_over_components_are_named(run, song):
    song.rename("true/mixture.wav")
    told = run("decompose", "true/mixture.wav", "-k", "4", *SMALL, "--references", "true")
    table = [line.split() for line in told.out.splitlines()]
    assert [row[0] for row in table if row and row[0].startswith("tone")] == [
        "tone0",
        "tone1",
        "tone2",
    ]
    assert [row[0::2] for row in table if row[:1] == ["-"]] == [["-", "-", "-"]]
    assert "mean SI-SDR of 3 references" in told.out
    assert len(list(Path("components").glob("*.wav"))) == 4


def test_raw_factors_leave_a_residual(run, song, written):
    run("decompose", song, "-k", "2", "--mode", "raw", *SMALL, "-o", "out", "--format", "flac")
    sounds = ["component-01.flac", "component-02.flac"]
    assert written() == [*sounds, "components.png", "factors.npz", "residual.flac"]
    total = read("out", "*.flac").sum(0)
    assert (total - audio.read(song)[0]).abs().max() < 1e-6 + 3 / 2**23
    assert read("out", "residual.flac").abs().max() > 0.01


def test_clusters_become_sources(run, song, written):
    words = ("-k", "6", "--clusters", "2", "--cluster-by", "activation")
    run("decompose", song, *words, *SMALL, "-o", "out", "--no-picture")
    assert written() == ["factors.npz", "source-01.wav", "source-02.wav"]
    with np.load("out/factors.npz") as factors:
        assert set(factors["groups"].tolist()) == {0, 1}
        assert len(factors["groups"]) == 6
    assert (read("out", "source*").sum(0) - audio.read(song)[0]).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("hpss",), ["harmonic", "percussive"]),
        (("hpss", "--margin", "3"), ["harmonic", "percussive", "residual"]),
        (("repet",), ["background", "foreground"]),
        (("repet-sim", "--margin", "2"), ["background", "foreground", "residual"]),
    ],
)
def test_splits(run, song, written, words, names):
    run("decompose", song, "--method", *words, *SMALL, "-o", "out")
    assert written() == sorted(["components.png", *(f"{name}.wav" for name in names)])
    assert (read("out", "*.wav").sum(0) - audio.read(song)[0]).abs().max() < 1e-6


def test_progress_tells_the_objective(run, song):
    words = ("-k", "3", "--beta", "kl", "--starts", "2", *SMALL, "--progress", "json", "--json")
    told = run("decompose", song, *words)
    events = [json.loads(line) for line in told.err.splitlines()]
    assert {"iteration", "objective"} <= set(events[0])
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)
    assert json.loads(told.out)["objective"] > 0


def test_the_seed_decides(run, song):
    words = ("-k", "5", "--init", "random", *SMALL, "--no-picture", "--n-iter", "3", "-q")
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("decompose", song, *words, "--seed", str(seed), "-o", folder)
    assert torch.equal(read("a"), read("b"))
    assert not torch.equal(read("a"), read("c"))


def test_part_of_a_song(run, song):
    words = ("--start", "1", "--duration", "1.5", "--references", "true", *SMALL, "-k", "2")
    run("decompose", song, *words, "-o", "out")
    assert read("out").shape == (2, 2, 12000)


def test_fewer_components_than_asked_for_are_explained(run):
    time = torch.arange(2 * RATE) / RATE
    audio.write("tone.wav", torch.sin(2 * torch.pi * 500 * time)[None] / 2, RATE)
    told = run("decompose", "tone.wav", "--method", "spa", "-k", "40", *SMALL, "--no-picture")
    assert "only " in told.out
    assert len(list(Path("components").glob("component*.wav"))) < 40


def test_earlier_files_are_neither_lost_nor_mixed_with_new_ones(run, song):
    words = ("decompose", song, *SMALL, "--no-picture", "-k")
    run(*words, "3")
    before = {path: path.read_bytes() for path in Path("components").iterdir()}
    assert "exists: give --overwrite" in only_line(run(*words, "3", code=2))
    stale = only_line(run(*words, "2", "--overwrite", code=2))
    assert "component-03.wav' of an earlier run" in stale
    assert {path: path.read_bytes() for path in Path("components").iterdir()} == before
    run(*words, "4", "--overwrite")
    assert len(list(Path("components").iterdir())) == 5


def test_a_song_is_not_overwritten_by_its_components(run, song):
    Path("components").mkdir()
    song.rename("components/component-01.wav")
    told = run("decompose", "components/component-01.wav", *SMALL, "--overwrite", code=2)
    assert "would be overwritten" in only_line(told)


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["none.wav"], "none.wav", 1),
        (["silent.wav"], "is silent: there is nothing to take apart", 1),
        (["broken.wav"], "NaN or infinite", 1),
        (["short.wav"], "less than a frame of 4096: give a smaller --n-fft", 1),
        (["song.wav", "-k", "0"], "--components 0", 2),
        (["song.wav", "-k", "900"], "at most 32", 2),
        (["song.wav", "--beta", "1e300"], "leaves the range of torch.float32", 2),
        (["song.wav", "--beta", "loud"], "frobenius, kl, is or a number", 2),
        (["song.wav", "--beta", "kl", "--init", "nndsvd"], "never leaves", 2),
        (["song.wav", "--power", "0"], "must be positive", 2),
        (["song.wav", "--mode", "raw", "--power", "2"], "leave it out", 2),
        (["song.wav", "--clusters", "9"], "at most --components 7", 2),
        (["song.wav", "--cluster-by", "timbre"], "needs --clusters", 2),
        (["song.wav", "--method", "hpss", "-k", "3"], "does nothing with --method hpss", 2),
        (["song.wav", "--method", "snpa", "--n-iter", "3"], "it is for nmf", 2),
        (["song.wav", "--margin", "2"], "it is for hpss, repet, repet-sim", 2),
        (["brief.wav", "--method", "repet"], "needs three periods of 0.8 s", 2),
        (["song.wav", "--references", "nowhere"], "is no folder", 1),
        (["song.wav", "--references", "empty"], "holds no audio", 1),
        (["song.wav", "--references", "slow"], "has 4000 Hz, the song 8000 Hz", 1),
        (["song.wav", "--references", "mono"], "has 1 channels, the song 2 channels", 1),
        (["song.wav", "--references", "long"], "has 5.0 s, the song 4.0 s", 1),
        (["song.wav", "--references", "mixes"], "nothing but the mixture", 1),
        (["song.wav", "--format", "tape"], "tape", 2),
        (["song.wav", "-o", "song.wav"], "is a file: give a folder", 2),
        (["song.wav", "--start", "9"], "behind the end", 2),
        (["song.wav", "--device", "mps"], "no double precision", 2),
        (["song.wav", "--device", "cuda:77"], "is not available: use auto", 2),
    ],
)
def test_what_cannot_be_done(run, song, words, text, code):
    x = audio.read(song)[0]
    broken = x.clone()
    broken[0, 7] = torch.nan
    sounds = {"silent": 0 * x, "broken": broken, "short": x[:, :900], "brief": x[:, :12000]}
    sounds |= {"mono/a": x[:1], "long/a": torch.cat([x, x[:, :RATE]], 1), "mixes/mixture": x}
    for folder in ("mono", "long", "mixes", "slow", "empty"):
        Path(folder).mkdir()
    for name, sound in sounds.items():
        audio.write(f"{name}.wav", sound, RATE)
    audio.write("slow/a.wav", x, 4000)
    assert text in only_line(run("decompose", *words, code=code))
    assert not Path("components").exists()


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["-o", "song.wav/out"], "cannot write to 'song.wav/out': Not a directory", 1),
        (["--format", "flac", "--subtype", "float"], "must be one of", 2),
        (["--format", "mp3", "--subtype", "pcm_16"], "must be one of", 2),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_made(
    run, song, monkeypatch, words, text, code
):
    monkeypatch.setattr("unweave.cli.decomposing.taken_apart", lambda *_: pytest.fail("too late"))
    assert text in only_line(run("decompose", song, *SMALL, *words, code=code))
    assert not Path("components").exists()


def test_times_may_be_minutes(run, song):
    words = ("--start", "0:01", "--duration", "00:00:01.5", *SMALL, "-k", "2", "--no-picture")
    run("decompose", song, *words)
    assert read("components").shape == (2, 2, 12000)
    told = only_line(run("decompose", song, "--start", "soon", code=2))
    assert "give seconds, or 1:30" in told


def test_without_matplotlib_only_pictures_are_missing(run, song, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    told = only_line(run("decompose", song, *SMALL, code=3))
    assert "unweave[plot]" in told
    assert "--no-picture" in told
    assert not Path("components").exists()
    run("decompose", song, *SMALL, "--no-picture")
    assert Path("components/factors.npz").exists()


def test_matches_stand_beside_what_the_song_itself_is_worth(run, song):
    words = ("-k", "4", *SMALL, "--references", "true", "--no-picture")
    told = run("decompose", song, *words, "-o", "out")
    true, whole = read("true", "tone*.wav"), audio.read(song)[0]
    expected = match_components(true, whole[None]).table[:, 0]
    with Path("out/matches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [float(row["song_si_sdr"]) for row in rows if row["reference"]]
    assert found == pytest.approx(expected.tolist(), abs=1e-3)
    assert f"of the song in their place: {float(expected.mean()):.2f} dB" in told.out
    assert "components that belong to no reference: 1" in told.out


def test_a_silent_reference_has_no_numbers(run, song):
    audio.write("true/quiet.wav", 0 * audio.read(song)[0], RATE)
    words = ("-k", "4", *SMALL, "--references", "true", "--no-picture", "--json")
    told = json.loads(run("decompose", song, *words).out, parse_constant=pytest.fail)
    [silent] = [row for row in told["matches"] if row["reference"] == "quiet"]
    assert [silent[key] for key in ("component", "si_sdr", "snr", "song_si_sdr")] == [None] * 4


def test_a_device_that_is_there(run, song):
    words = ("-k", "3", *SMALL, "--no-picture", "--json")
    for name in ("cpu", "auto"):
        told = json.loads(run("decompose", song, *words, "--device", name, "-o", name).out)
        assert told["device"] == ("cuda:0" if cuda and name == "auto" else "cpu")
    torch.testing.assert_close(read("cpu"), read("auto"), rtol=0, atol=1e-3 if cuda else 0)


@pytest.mark.gpu
@pytest.mark.skipif(not cuda, reason="no CUDA device")
@pytest.mark.parametrize("method", ["nmf", "snpa", "greedy", "hpss", "repet", "repet-sim"])
def test_a_gpu_takes_songs_apart(run, song, method):
    factors = ("-k", "3", "--references", "true") if method in ("nmf", "snpa", "greedy") else ()
    words = ("--method", method, *factors, *SMALL)
    for device in ("cpu", "cuda"):
        run("decompose", song, *words, "--device", device, "-o", device)
    torch.testing.assert_close(read("cuda", "*.wav"), read("cpu", "*.wav"), rtol=0, atol=1e-2)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_explained(run, song, monkeypatch, error):
    def full(*_args, **_options):
        raise error

    monkeypatch.setattr("unweave.decomposition.song.mean_magnitudes", full)
    told = only_line(run("decompose", song, *SMALL, "--device", "cpu", code=2))
    assert "has too little memory" in told
    assert "--duration" in told
