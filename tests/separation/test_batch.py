"""Files in, files out: each song whole or not at all, whatever happens to the others."""

import resource
import threading

import numpy as np
import pytest
import torch

from unweave import audio
from unweave.errors import AudioFileError, Cancelled, ParameterError
from unweave.separation import OutputOptions, Separator, Track, separate_files

RATE = 8000


@pytest.fixture
def song(tmp_path, noise):
    path = tmp_path / "in" / "song.wav"
    path.parent.mkdir()
    audio.write(
        path, noise(2, 8000).clamp(-1, 1), RATE, tags={"title": "A song", "software": "Tape"}
    )
    return path


@pytest.fixture
def separator(gain_net):
    return Separator(gain_net(), device="cpu")


def run(inputs, output, separator, *, workers=1, cancel=None, progress=None, **options):
    results = separate_files(
        inputs,
        output,
        separator=separator,
        options=OutputOptions(**options),
        workers=workers,
        cancel=cancel,
        progress=progress,
    )
    return list(results)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def entries(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_stems_are_written_measured_and_sum_to_the_song(song, separator, tmp_path):
    out = tmp_path / "out"
    [result] = run([song], out, separator)
    assert (result.status, result.error, result.gain, result.notes) == ("ok", None, 1.0, ())
    assert (result.path, result.track, result.sample_rate) == (song, "song", RATE)
    assert result.seconds == 1.0
    assert result.speed == pytest.approx(1.0 / result.elapsed)
    assert files(out) == [f"song/{stem}.wav" for stem in sorted(separator.stems)]
    assert entries(out) == ["song"]
    expected = separator.separate(*audio.read(song))
    for stem in result.stems:
        samples, rate = audio.read(stem.path)
        assert rate == RATE
        assert torch.equal(samples, expected[stem.name])
        assert stem.peak == pytest.approx(float(samples.abs().max()))
        assert stem.loudness == pytest.approx(audio.integrated_loudness(samples, rate), abs=1e-6)
        assert audio.info(stem.path).tags == {"title": "A song"}


@pytest.mark.parametrize(
    ("options", "target"),
    [({"format": "wav", "subtype": "pcm_16"}, 0.9999), ({"format": "flac"}, 0.9999)],
)
def test_one_gain_keeps_all_stems_from_clipping(song, gain_net, tmp_path, noise, options, target):
    loud = Separator(gain_net((4.0, 1.0)), mixture_consistency=False)
    [result] = run([song], tmp_path / "out", loud, **options)
    signal, _ = audio.read(song)
    assert result.gain == pytest.approx(target / (4 * float(signal.abs().max())), rel=1e-6)
    vocals, drums = (audio.read(stem.path)[0] for stem in result.stems)
    torch.testing.assert_close(vocals, 4 * result.gain * signal, atol=4e-5, rtol=0)
    torch.testing.assert_close(drums, result.gain * signal, atol=4e-5, rtol=0)
    assert result.stems[0].peak == pytest.approx(target)
    expected = audio.integrated_loudness(vocals, RATE)
    assert result.stems[0].loudness == pytest.approx(expected, abs=0.01)


def test_float_stems_beyond_full_scale_are_left_alone(song, gain_net, tmp_path):
    loud = Separator(gain_net((4.0, 1.0)), mixture_consistency=False)
    [result] = run([song], tmp_path / "out", loud)
    assert result.gain == 1.0
    assert result.stems[0].peak > 2
    assert torch.equal(audio.read(result.stems[0].path)[0], 4 * audio.read(song)[0])


def test_rates_a_format_cannot_hold_are_changed_and_told(tmp_path, separator, noise):
    path = tmp_path / "song.wav"
    audio.write(path, noise(2, 11025), 11025)
    [result] = run([path], tmp_path / "out", separator, format="opus", stems=("bass",))
    assert result.sample_rate == 12000
    assert result.notes == ("opus cannot hold 11025 Hz: resampled to 12000 Hz",)
    assert audio.info(result.stems[0].path).frames == pytest.approx(12000, abs=1)


@pytest.mark.parametrize("consistent", [True, False])
def test_two_stems_sum_to_the_song(song, gain_net, tmp_path, consistent):
    separator = Separator(gain_net((0.5, 0.2, 0.1)), mixture_consistency=consistent)
    [result] = run([song], tmp_path / "out", separator, two_stems="drums")
    assert [stem.name for stem in result.stems] == ["drums", "no_drums"]
    drums, rest = (audio.read(stem.path)[0] for stem in result.stems)
    torch.testing.assert_close(drums + rest, audio.read(song)[0], atol=1e-6, rtol=0)


def test_the_residual_is_a_file(song, gain_net, tmp_path):
    separator = Separator(gain_net((0.5, 0.25)), residual=True)
    [result] = run([song], tmp_path / "out", separator)
    residual, _ = audio.read(result.stems[-1].path)
    assert result.stems[-1].name == "residual"
    torch.testing.assert_close(residual, 0.25 * audio.read(song)[0], atol=1e-6, rtol=0)


def test_a_part_of_the_song(song, separator, tmp_path):
    [result] = run([song], tmp_path / "out", separator, start=0.5, duration=0.25)
    assert result.seconds == 0.25
    assert audio.info(result.stems[0].path).frames == 2000


def test_stem_mp4_holds_the_mixture_and_all_stems(tmp_path, gain_net, noise):
    pytest.importorskip("av")
    path = tmp_path / "song.wav"
    audio.write(path, 0.3 * noise(2, 44100), 44100)
    separator = Separator(gain_net(sample_rate=44100))
    [result] = run([path], tmp_path / "out", separator, stem_mp4=True)
    assert result.error is None
    assert files(tmp_path / "out") == ["song.stem.mp4"]
    stems, rate = audio.read_stems(tmp_path / "out" / "song.stem.mp4")
    assert rate == 44100
    assert list(stems) == ["mixture", "vocals", "drums", "bass", "other"]
    assert stems["bass"].shape == (2, 44100)


# One song fails, the others are done


def test_bad_songs_fail_alone(song, separator, tmp_path, noise):
    text = tmp_path / "text.wav"
    text.write_text("no audio at all")
    empty = tmp_path / "empty.wav"
    audio.write(empty, torch.zeros(2, 0), RATE)
    slow = tmp_path / "slow.wav"
    audio.write(slow, noise(1, 10), 1)
    nan = tmp_path / "nan.wav"
    signal = noise(2, 5000)
    signal[0, 4000] = float("nan")
    audio.write(nan, signal, RATE)
    one = tmp_path / "one.wav"
    audio.write(one, torch.ones(1, 1), 768000)
    out = tmp_path / "out"
    missing = tmp_path / "missing.wav"
    results = run([missing, text, empty, slow, nan, tmp_path, song, one], out, separator)
    assert [result.status for result in results] == ["failed"] * 6 + ["ok"] * 2
    messages = [str(result.error) for result in results[:6]]
    assert all("\n" not in message for message in messages)
    assert "missing.wav" in messages[0]
    assert "holds no samples" in messages[2]
    assert "sample_rate=1 Hz" in messages[3]
    assert "sample 4000 (0.500 s) of channel 0 is nan" in messages[4]
    assert entries(out) == ["one", "song"]
    assert audio.info(out / "one" / "bass.wav").frames == 1


def test_truncated_songs_leave_nothing(song, separator, tmp_path):
    song.write_bytes(song.read_bytes()[:-20000])
    [result] = run([song], tmp_path / "out", separator)
    assert result.status == "failed"
    assert "is truncated or damaged" in str(result.error)
    assert entries(tmp_path / "out") == []


def test_songs_of_one_name_and_overwritten_songs_fail(song, separator, tmp_path, noise):
    twin = tmp_path / "song.flac"
    audio.write(twin, noise(1, 2000).clamp(-1, 1), RATE)
    results = run([song, twin, song], tmp_path / "out", separator)
    assert [result.status for result in results] == ["ok", "failed"]
    assert str(song) in str(results[1].error)
    before = song.read_bytes()
    [result] = run(
        [Track(song, "song")], song.parent, Separator(separator.model), name="{track}{stem}.{ext}"
    )
    assert result.status == "ok"
    bass = tmp_path / "in" / "songbass.wav"
    [result] = run([bass], bass.parent, separator, name="song{stem}.{ext}", existing="overwrite")
    assert result.status == "failed"
    assert "would be overwritten" in str(result.error)
    assert song.read_bytes() == before


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_a_full_disk_leaves_nothing(song, separator, tmp_path, format):
    out = tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30000, limits[1]))
    try:
        [result] = run([song], out, separator, format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.status == "failed"
    assert isinstance(result.error, AudioFileError)
    assert ".unweave-" not in str(result.error)
    assert "\n" not in str(result.error)
    assert entries(out) == []


def test_an_output_folder_that_cannot_be_made_is_named(song, separator):
    [result] = run([song], song / "out", separator)
    assert result.status == "failed"
    assert f"cannot write to '{song / 'out'}'" in str(result.error)


def test_a_folder_in_the_place_of_a_stem_is_named(song, separator, tmp_path):
    blocker = tmp_path / "out" / "song" / "bass.wav"
    blocker.mkdir(parents=True)
    [result] = run([song], tmp_path / "out", separator, existing="overwrite")
    assert str(blocker) in str(result.error)
    assert files(tmp_path / "out") == []


# Files that are there already


def test_existing_files_are_refused_skipped_or_replaced(song, separator, tmp_path):
    out = tmp_path / "out"
    run([song], out, separator)
    before = {path: (out / path).stat().st_mtime_ns for path in files(out)}
    [result] = run([song], out, separator)
    assert result.status == "failed"
    assert "exists: give --overwrite, --skip-existing or another output" in str(result.error)
    [result] = run([song], out, separator, existing="skip")
    assert result.status == "skipped"
    assert {path: (out / path).stat().st_mtime_ns for path in files(out)} == before
    (out / "song" / "bass.wav").unlink()
    [result] = run([song], out, separator, existing="skip")
    assert result.status == "ok"
    [result] = run([song], out, separator, existing="overwrite")
    assert result.status == "ok"
    assert set(files(out)) == set(before)


# Interruption


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("workers", [1, 2])
def test_cancellation_keeps_finished_songs_only(gain_net, noise, tmp_path, format, workers):
    paths = []
    for index in range(4):
        paths.append(tmp_path / f"{index}.wav")
        audio.write(paths[-1], noise(2, 16000).clamp(-1, 1), RATE)
    event = threading.Event()
    out = tmp_path / "out"
    results = separate_files(
        paths,
        out,
        separator=Separator(gain_net()),
        options=OutputOptions(format=format),
        workers=workers,
        cancel=event.is_set,
    )
    first = next(results)
    event.set()
    with pytest.raises(Cancelled):
        list(results)
    done = entries(out)
    assert first.track in done
    assert not [name for name in done if name.startswith(".")]
    assert all(len(entries(out / track)) == 4 for track in done)


def test_an_interrupt_leaves_nothing(song, gain_net, tmp_path):
    class Interrupted(gain_net):
        def forward(self, x):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        run([song], tmp_path / "out", Separator(Interrupted()))
    assert entries(tmp_path / "out") == []


# Several at once


def test_workers_give_the_same_files(conv_net, noise, tmp_path):
    paths = []
    for index in range(5):
        paths.append(tmp_path / f"{index}.wav")
        audio.write(paths[-1], noise(2, 9000 + index, seed=index), RATE)
    separator = Separator(conv_net, device="cpu")
    threads = torch.get_num_threads()
    reports = []
    one = run(paths, tmp_path / "one", separator)
    two = run(paths, tmp_path / "two", separator, workers=3, progress=lambda *r: reports.append(r))
    assert torch.get_num_threads() == threads
    assert sorted(r.track for r in two) == [r.track for r in one] == list("01234")
    assert {path for path, _, _ in reports} == set(paths)
    for name in files(tmp_path / "one"):
        a, b = (audio.read(tmp_path / run / name)[0] for run in ("one", "two"))
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_bad_arguments_are_refused_at_once(separator, tmp_path):
    with pytest.raises(ParameterError, match="workers=0"):
        separate_files([], tmp_path, separator=separator, workers=0)
    with pytest.raises(ParameterError, match="unknown stem 'flute'"):
        separate_files([], tmp_path, separator=separator, options=OutputOptions(stems=("flute",)))
