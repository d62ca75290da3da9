"""Every option of `unweave separate`, one at a time."""

import json
import math
from pathlib import Path

import pytest
import torch

from unweave import audio

STEMS = ("vocals", "drums", "bass", "other")


def of(track, suffix="wav"):
    return sorted(f"{track}/{stem}.{suffix}" for stem in STEMS)


def rows(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_a_song_becomes_four_stems_that_sum_to_it_and_a_table_tells_of_them(
    separate, song, written
):
    mixture, rate = audio.read(song("My Song.wav"))
    told = separate("My Song.wav")
    assert written() == of("My Song")
    stems = [audio.read(f"out/My Song/{stem}.wav") for stem in STEMS]
    assert {r for _, r in stems} == {rate}
    total = torch.stack([signal for signal, _ in stems]).sum(0)
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)
    lines = told.out.splitlines()
    for stem, (signal, _) in zip(STEMS, stems, strict=True):
        [line] = [line for line in lines if f"out/My Song/{stem}.wav" in line]
        peak = 20 * math.log10(float(signal.abs().max()))
        assert line.split()[0] == stem
        assert float(line.split()[-2]) == pytest.approx(peak, abs=0.051)
    assert "0.3 s of music" in lines[-1]
    assert "x real time" in lines[-1]
    assert told.err == ""
    assert not list(Path("out").glob(".*"))


def test_output_is_also_called_save(separate, song, written):
    song()
    separate("song.wav", "--save", "kept")
    separate("song.wav", "--output", "here")
    assert written("kept") == written("here") == of("song")


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("{track}/{stem}.{ext}", of("song")),
        ("{stem}", sorted(f"{stem}.wav" for stem in STEMS)),
        ("{track}.{stem}", sorted(f"song.{stem}.wav" for stem in STEMS)),
        ("{stem} v1.0", sorted(f"{stem} v1.0.wav" for stem in STEMS)),
        ("{stem}.wav", sorted(f"{stem}.wav" for stem in STEMS)),
        ("{parent}/{track}/{stem}.{ext}", of("album/song")),
    ],
)
def test_name_says_where_each_file_goes(separate, song, written, template, paths):
    separate(song("album/song.wav"), "--name", template)
    assert written() == paths


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{track}", "{stem}"),
        ("{artist}/{stem}", "{parent}"),
        ("{stem", "template"),
        ("../{stem}", "within"),
        ("/tmp/{stem}", "within"),
        ("{stem}.mp3", "--format mp3"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_done(separate, song, template, word):
    [line] = separate(song(), "--name", template, code=2).complaints
    assert line.startswith("unweave: ")
    assert word in line
    assert not Path("out").exists()


def test_stems_chooses_some(separate, song, written):
    separate(song(), "--stems", "vocals, drums")
    assert written() == ["song/drums.wav", "song/vocals.wav"]


def test_two_stems_writes_one_and_the_rest_as_one(separate, song, written):
    mixture, _ = audio.read(song())
    separate("song.wav", "--two-stems", "vocals")
    assert written() == ["song/accompaniment.wav", "song/vocals.wav"]
    total = sum(audio.read(f"out/{path}")[0] for path in written())
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)
    separate("song.wav", "--two_stems", "drums", "--overwrite")
    assert {"song/drums.wav", "song/no_drums.wav"} < set(written())


def test_residual_writes_what_no_stem_holds(separate, song, written):
    mixture, _ = audio.read(song())
    separate("song.wav", "--residual")
    assert written() == sorted([*of("song"), "song/residual.wav"])
    total = sum(audio.read(f"out/{path}")[0] for path in written())
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)


def test_residual_comes_beside_chosen_stems(separate, song, written):
    separate(song(), "--residual", "--stems", "vocals")
    assert written() == ["song/residual.wav", "song/vocals.wav"]


def test_start_and_duration_cut_the_song(separate, song):
    mixture, rate = audio.read(song(seconds=1))
    separate("song.wav", "--start", "0.25", "--duration", "0.5")
    total = sum(audio.read(f"out/song/{stem}.wav")[0] for stem in STEMS)
    torch.testing.assert_close(
        total, mixture[:, rate // 4 : rate // 4 + rate // 2], atol=1e-6, rtol=0
    )
    separate("song.wav", "--start", "0:0.75", "--duration", "0:00:09", "--overwrite")
    assert audio.info("out/song/bass.wav").frames == rate // 4
    [line] = separate("song.wav", "--start", "1", "--overwrite", code=1).complaints
    assert "song.wav" in line
    assert "1.00 s" in line


@pytest.mark.parametrize(
    ("format", "subtype", "expected"),
    [
        ("wav", None, ("WAV", "FLOAT")),
        ("wav", "pcm_24", ("WAV", "PCM_24")),
        ("WAV", "float", ("WAV", "FLOAT")),
        ("flac", None, ("FLAC", "PCM_24")),
        ("flac", "PCM_16", ("FLAC", "PCM_16")),
        ("ogg", None, ("OGG", "VORBIS")),
        ("mp3", None, ("MP3", "MPEG_LAYER_III")),
        ("opus", None, ("OGG", "OPUS")),
        ("m4a", None, ("M4A", "AAC")),
    ],
)
def test_format_and_subtype(separate, song, written, format, subtype, expected):
    song(rate=48000)
    coding = [] if subtype is None else ["--subtype", subtype]
    separate("song.wav", "--format", format, *coding)
    assert written() == of("song", format.lower())
    for path in written():
        facts = audio.info(Path("out") / path)
        assert (facts.format.upper(), facts.subtype.upper()) == expected
        assert facts.sample_rate == 48000
        assert facts.frames == pytest.approx(0.3 * 48000, abs=1200)


def test_a_rate_that_the_format_cannot_hold_is_changed_with_a_word(separate, song):
    song(rate=44100)
    told = separate("song.wav", "--format", "opus")
    assert "opus cannot hold 44100 Hz: resampled to 48000 Hz" in told.out
    assert audio.info("out/song/bass.opus").sample_rate == 48000


def test_stems_that_would_clip_are_lowered_together_with_a_word(separate, song):
    mixture, _ = audio.read(song(level=2.0))
    told = separate("song.wav", "--subtype", "pcm_24")
    assert "all stems were lowered by" in told.out
    stems = [audio.read(f"out/song/{stem}.wav")[0] for stem in STEMS]
    total = sum(stems)
    gain = float((total * mixture).sum() / (mixture * mixture).sum())
    assert gain < 1
    assert max(float(stem.abs().max()) for stem in stems) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(total, gain * mixture, atol=1e-5, rtol=0)
    [row] = rows(separate("song.wav", "--subtype", "pcm_24", "--overwrite", "--json"))
    assert row["gain"] == pytest.approx(gain, rel=1e-4)


def test_stem_mp4_holds_all_in_one_file(separate, song, written):
    song(seconds=0.5)
    separate("song.wav", "--stem-mp4")
    assert written() == ["song.stem.mp4"]
    stems, rate = audio.read_stems("out/song.stem.mp4")
    assert tuple(stems) == ("mixture", *STEMS)
    assert rate == 44100
    assert {stem.shape for stem in stems.values()} == {(2, 22050)}
    # a song that is a stem file itself loses both suffixes
    separate("out/song.stem.mp4", "-o", "again")
    assert written("again") == of("song")


def test_a_model_is_given_by_its_path_or_its_name(run, song, tiny_model, written):
    song()
    run("separate", "song.wav", "--model", tiny_model, "-o", "path")
    run("separate", "song.wav", "--model", "bandmask", "-o", "name")
    run("separate", "song.wav", "-o", "default")
    assert written("path") == written("name") == of("song")
    named, default, tiny = (
        audio.read(f"{folder}/song/vocals.wav")[0] for folder in ("name", "default", "path")
    )
    assert torch.equal(named, default)
    assert not torch.allclose(named, tiny, atol=1e-3)


def test_the_device_comes_from_the_option_or_the_environment(run, song, tiny_model, monkeypatch):
    song()
    words = ["separate", "song.wav", "--model", tiny_model, "-o", "out"]
    [line] = run(*words, "--device", "abacus", code=2).complaints
    assert "abacus" in line
    assert "cpu" in line
    monkeypatch.setenv("UNWEAVE_DEVICE", "loom")
    [line] = run(*words, code=2).complaints
    assert "loom" in line
    run(*words, "--device", "cpu")
    monkeypatch.setenv("UNWEAVE_DEVICE", "cpu")
    assert "on cpu" in run(*words, "-v", "--overwrite").err


@pytest.mark.parametrize("option", ["--segment=0.4", "--overlap=0.5", "--shifts=2", "--wiener=1"])
def test_options_of_the_separation_change_it_but_not_the_sum(separate, song, option):
    mixture, _ = audio.read(song(seconds=2))
    separate("song.wav", "-o", "plain")
    separate("song.wav", "--segment", "0.8" if "overlap" in option else "1", option, "-o", "out")
    plain, changed = (
        [audio.read(f"{folder}/song/{stem}.wav")[0] for stem in STEMS]
        for folder in ("plain", "out")
    )
    assert not torch.allclose(plain[0], changed[0], atol=1e-7)
    torch.testing.assert_close(sum(changed), mixture, atol=1e-6, rtol=0)


def test_workers_do_the_same_songs(separate, song, written):
    names = [f"{i}.wav" for i in range(4)]
    for name in names:
        song(name)
    threads = torch.get_num_threads()
    separate(*names, "-o", "one")
    told = separate(*names, "-o", "two", "--workers", "2", "--json")
    assert torch.get_num_threads() == threads
    assert sorted(row["input"] for row in rows(told)) == names
    assert written("one") == written("two") == [path for i in range(4) for path in of(i)]
    for path in written("one"):
        one, two = audio.read(f"one/{path}")[0], audio.read(f"two/{path}")[0]
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)


def test_existing_files_are_refused_skipped_or_replaced(separate, song):
    song()
    separate("song.wav")
    drums = Path("out/song/drums.wav")
    drums.write_bytes(b"old")
    [line] = separate("song.wav", code=1).complaints
    assert "song.wav" in line
    assert "--overwrite" in line
    assert "song: all stems are there, skipped" in separate("song.wav", "--skip-existing").out
    assert rows(separate("song.wav", "--skip-existing", "--json"))[0]["status"] == "skipped"
    assert drums.read_bytes() == b"old"
    separate("song.wav", "--overwrite")
    assert drums.stat().st_size > 1000
    drums.unlink()
    assert rows(separate("song.wav", "--skip-existing", "--json"))[0]["status"] == "ok"
    assert drums.exists()
    [line] = separate("song.wav", "--skip-existing", "--overwrite", code=2).complaints
    assert "exclude each other" in line


def test_options_may_be_spelt_with_underscores(separate, song, written):
    separate(song(), "--two_stems", "bass", "--skip_existing")
    assert written() == ["song/bass.wav", "song/no_bass.wav"]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["--stems", "voice"], "vocals, drums"),
        (["--stems", ","], "--stems"),
        (["--two-stems", "voice"], "vocals, drums"),
        (["--two-stems", "vocals", "--stems", "drums"], "exclude"),
        (["--stem-mp4", "--stems", "drums"], "stem.mp4"),
        (["--stem-mp4", "--format", "mp3"], "--format"),
        (["--stem-mp4", "--name", "{stem}"], "--name"),
        (["--start", "-1"], "start=-1"),
        (["--duration", "0"], "duration=0"),
        (["--duration", "inf"], "duration=inf"),
        (["--duration", "1:x"], "1:30"),
        (["--start", "soon"], "--start"),
        (["--format", "doc"], "flac"),
        (["--subtype", "pcm_99"], "PCM_24"),
        (["--format", "mp3", "--subtype", "pcm_16"], "mp3"),
        (["--segment", "0"], "segment=0"),
        (["--overlap", "1"], "overlap=1"),
        (["--shifts", "-1"], "shifts=-1"),
        (["--wiener", "-1"], "wiener=-1"),
        (["--workers", "0"], "workers=0"),
        (["--progress", "loud"], "--progress"),
        (["--two-stem", "vocals"], "--two-stems"),
        (["--nonsense"], "unweave separate --help"),
    ],
)
def test_a_wrong_option_is_told_in_one_line_before_anything_is_done(separate, song, words, word):
    told = separate(song(), *words, code=2)
    [line] = told.complaints
    assert line.startswith("unweave: ")
    assert word in line
    assert told.out == ""
    assert not Path("out").exists()
