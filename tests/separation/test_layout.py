"""Which files are written is decided, and collisions found, before anything is separated."""

from pathlib import Path

import pytest

from unweave.errors import ParameterError
from unweave.separation.layout import OutputOptions, Selection, Track, plan_jobs, select_stems

STEMS = ("vocals", "drums", "bass", "other")


def plan(paths, *, names=("vocals", "bass"), output=Path("out"), **options):
    return plan_jobs(map(Track.of, paths), output, names=names, options=OutputOptions(**options))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("vocals", 0), ("drums", 1), ("bass", 2), ("other", 3)]),
        ({"stems": ("bass", "vocals", "bass")}, [("bass", 2), ("vocals", 0)]),
        ({"two_stems": "vocals"}, [("vocals", 0), ("accompaniment", 1, 2, 3)]),
        ({"two_stems": "drums"}, [("drums", 1), ("no_drums", 0, 2, 3)]),
        ({"mixture": "song", "stems": ("bass",)}, [("song", 0, 1, 2, 3), ("bass", 2)]),
        (
            {"mixture": "song", "two_stems": "drums"},
            [("song", 0, 1, 2, 3), ("drums", 1), ("no_drums", 0, 2, 3)],
        ),
    ],
)
def test_selection(options, expected):
    selections = select_stems(STEMS, OutputOptions(**options))
    assert selections == [Selection(name, tuple(parts)) for name, *parts in expected]


@pytest.mark.parametrize("options", [{"stems": ("vocal",)}, {"two_stems": "vocal"}])
def test_unknown_stems_are_refused(options):
    with pytest.raises(ParameterError, match="unknown stem 'vocal': the model gives vocals, drums"):
        select_stems(STEMS, OutputOptions(**options))


def test_a_mixture_needs_a_name_of_its_own():
    with pytest.raises(ParameterError, match="mixture='bass' is the name of a stem"):
        select_stems(STEMS, OutputOptions(mixture="bass"))


def test_names_are_filled_in():
    [job] = plan(["a/Für Elise.mp3"], name="{parent}-{track}/{stem}.x.{ext}", format="FLAC")
    assert job.refusal is None
    assert job.targets == {
        "vocals": Path("out/a-Für Elise/vocals.x.flac"),
        "bass": Path("out/a-Für Elise/bass.x.flac"),
    }


@pytest.mark.parametrize(
    ("paths", "remedy"),
    [
        (("a/song.mp3", "b/song.mp3"), "{parent}/{track}/{stem}.{ext}"),
        (("a/song.mp3", "a/song.flac"), "{track}.{suffix}/{stem}.{ext}"),
        (("x/a/song.mp3", "y/a/song.mp3"), None),
    ],
)
def test_songs_of_one_name_are_refused_with_a_remedy_that_works(paths, remedy):
    first, second = plan(paths)
    assert first.refusal is None
    assert f"the same files as those of {paths[0]}:" in second.refusal
    if remedy is None:
        assert "the folder that holds both" in second.refusal
    else:
        assert remedy in second.refusal
        assert [job.refusal for job in plan(paths, name=remedy)] == [None, None]


def test_a_song_is_one_song_by_any_of_its_names(tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.wav").touch()
    (tmp_path / "link").symlink_to("songs")
    (tmp_path / "b.wav").symlink_to("songs/a.wav")
    paths = [tmp_path / "songs/a.wav", tmp_path / "link/../songs/a.wav", tmp_path / "link/a.wav"]
    assert len(plan([*paths, tmp_path / "b.wav"])) == 1


def test_a_stem_that_is_a_link_to_a_song_is_not_written(tmp_path):
    (tmp_path / "song.wav").touch()
    (tmp_path / "out" / "song").mkdir(parents=True)
    (tmp_path / "out/song/bass.wav").symlink_to("../../song.wav")
    [job] = plan([tmp_path / "song.wav"], output=tmp_path / "out")
    assert "would be overwritten" in job.refusal


@pytest.mark.parametrize("duration", [0, -1, float("nan"), float("inf")])
def test_a_duration_is_a_finite_time(duration):
    with pytest.raises(ParameterError, match="duration="):
        OutputOptions(duration=duration)


def test_braces_in_song_names_are_only_text():
    [job] = plan(["{stem}{0}.wav"])
    assert job.targets["bass"] == Path("out/{stem}{0}/bass.wav")


def test_stem_mp4_is_one_file():
    [job] = plan(["x.wav"], stem_mp4=True)
    assert job.targets == {"stem.mp4": Path("out/x.stem.mp4")}


@pytest.mark.parametrize(
    ("given", "name"),
    [("a/b.wav", "b"), ("b.stem.mp4", "b"), (".stem", ".stem"), ("b.c.wav", "b.c"), ("b", "b")],
)
def test_track_names(given, name):
    assert Track.of(given).name == name
    assert Track.of(Path(given)).name == name


def test_songs_of_one_name_are_told_apart():
    first, second, third = plan(["a/x.wav", "b/X.mp3", "c/y.wav"])
    assert first.refusal is None
    assert third.refusal is None
    assert "same files as those of a/x.wav" in second.refusal
    assert all(job.refusal is None for job in plan(["a/x.wav", "b/x.mp3"], name="{parent}-{stem}"))


def test_a_song_given_twice_is_done_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(plan(["x.wav", tmp_path / "x.wav", "./x.wav"])) == 1


def test_no_song_is_overwritten(tmp_path):
    song = tmp_path / "bass.wav"
    [job] = plan([song], output=tmp_path, name="{stem}.{ext}")
    assert job.refusal == f"{song} would be overwritten: give another output folder"
    jobs = plan(["other.wav", song], output=tmp_path, name="{stem}.{ext}")
    assert all("would be overwritten" in job.refusal for job in jobs)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "{track}.{ext}"}, "must hold {stem}"),
        ({"name": "{stem}/{artist}"}, "may hold {track}, {stem}, {ext}, {parent}"),
        ({"name": "{stem.__class__}"}, "may hold"),
        ({"name": "{stem:>9}"}, "may hold"),
        ({"name": "{stem!r}"}, "may hold"),
        ({"name": "{stem"}, "is no template"),
        ({"name": "../{stem}.wav"}, "must stay within the output folder"),
        ({"name": "/tmp/{stem}.wav"}, "must stay within the output folder"),
        ({"format": "tape"}, "format='tape' must be one of wav"),
        ({"format": "flac", "subtype": "FLOAT"}, "subtype='FLOAT' must be one of PCM_24"),
        ({"existing": "keep"}, "existing='keep' must be"),
        ({"start": -1}, "start=-1 s"),
        ({"start": float("nan")}, "start=nan s"),
        ({"duration": 0}, "duration=0 s"),
        ({"stems": ("bass",), "two_stems": "bass"}, "exclude each other"),
        ({"stem_mp4": True, "two_stems": "bass"}, "a stem.mp4 holds all stems"),
        ({"stem_mp4": True, "mixture": "song"}, "a stem.mp4 holds the mixture"),
    ],
)
def test_bad_options_are_refused(options, text):
    with pytest.raises(ParameterError, match=text):
        OutputOptions(**options)
