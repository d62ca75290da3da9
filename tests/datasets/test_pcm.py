"""The decoded cache: exact, loud, atomic, shared."""

import errno
import json
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import audio
from unweave.audio import resample, write
from unweave.datasets import pcm
from unweave.datasets.pcm import PcmCache
from unweave.datasets.tracks import AudioPart
from unweave.errors import DatasetError

RATE = 8000


def part_of(path: Path) -> AudioPart:
    facts = audio.info(path)
    return AudioPart(path, 0, facts.sample_rate, facts.channels, facts.frames)


def decode(path: Path, folder: Path, *, rate: int = RATE, channels: int = 2):
    part = part_of(path)
    return PcmCache(folder, sample_rate=rate, channels=channels).decode([part])[part]


def floats(decoded) -> np.ndarray:
    return decoded.open().astype(np.float32) * np.float32(decoded.scale)


def test_sixteen_bits_come_back_exactly(tmp_path, noise, cache):
    signal = noise(0)
    signal[0, 0] = -1.0
    write(tmp_path / "a.wav", signal, RATE, subtype="PCM_16")
    decoded = decode(tmp_path / "a.wav", cache)
    assert decoded.open().dtype == np.int16
    assert np.array_equal(floats(decoded), signal.numpy())
    rms = signal.reshape(2, 2, RATE).square().mean((0, 2)).sqrt()
    np.testing.assert_allclose(decoded.levels, rms, rtol=1e-3)


@pytest.mark.parametrize("peak", [1.0, 1.00001, 3.7, -3.7])
def test_float_files_louder_than_full_scale_do_not_clip(tmp_path, noise, cache, peak):
    signal = noise(0)
    signal[1, 77] = peak
    write(tmp_path / "a.wav", signal, RATE, subtype="FLOAT")
    decoded = decode(tmp_path / "a.wav", cache)
    np.testing.assert_allclose(floats(decoded), signal, atol=0.51 * abs(peak) / 32767 + 3.1e-5)
    if abs(peak) > 1.1:
        assert decoded.scale > 1 / 32768
        assert np.abs(floats(decoded) - signal.numpy()).max() < 0.51 * decoded.scale + 5e-5


def test_mono_stereo_and_other_rates(tmp_path, noise, cache):
    signal = noise(0)
    write(tmp_path / "a.wav", signal, RATE, subtype="PCM_16")
    mean = floats(decode(tmp_path / "a.wav", cache, channels=1))
    np.testing.assert_allclose(mean, signal.mean(0, keepdim=True), atol=2e-5)
    faster = decode(tmp_path / "a.wav", cache, rate=11025)
    assert faster.frames == 22050
    np.testing.assert_allclose(floats(faster), resample(signal, RATE, 11025), atol=4e-5)
    write(tmp_path / "b.wav", signal[:1], RATE, subtype="PCM_16")
    assert np.array_equal(floats(decode(tmp_path / "b.wav", cache)), signal[:1].expand(2, -1))
    write(tmp_path / "c.wav", noise(0, channels=3), RATE)
    with pytest.raises(DatasetError, match=r"c\.wav' has 3 channels, not 2"):
        decode(tmp_path / "c.wav", cache)


def test_long_signals_wait_on_disk(tmp_path, noise, cache, monkeypatch):
    monkeypatch.setattr(pcm, "_IN_MEMORY", 1000)
    monkeypatch.setattr(pcm, "_BLOCK", 777)
    write(tmp_path / "a.wav", noise(0), RATE, subtype="PCM_16")
    assert np.array_equal(floats(decode(tmp_path / "a.wav", cache)), noise(0))
    assert len(list(cache.iterdir())) == 2


def test_a_signal_is_decoded_once_and_anew_when_its_file_changes(tmp_path, noise, cache):
    path = tmp_path / "a.wav"
    write(path, noise(0), RATE, subtype="PCM_16")
    first = decode(path, cache)
    made = first.path.stat().st_mtime_ns
    assert decode(path, cache) == first
    assert first.path.stat().st_mtime_ns == made
    write(path, noise(1), RATE, subtype="PCM_16")
    os.utime(path, ns=(1, 1))
    second = decode(path, cache)
    assert second.path != first.path
    assert np.array_equal(floats(second), noise(1))


@pytest.mark.parametrize("harm", ["version", "json", "short", "missing", "list"])
def test_what_is_not_whole_is_made_anew(tmp_path, noise, cache, harm):
    path = tmp_path / "a.wav"
    write(path, noise(0), RATE, subtype="PCM_16")
    decoded = decode(path, cache)
    head = decoded.path.with_suffix(".json")
    if harm == "version":
        head.write_text(json.dumps({**json.loads(head.read_text()), "version": 99}))
    elif harm == "json":
        head.write_text("{")
    elif harm == "list":
        head.write_text("[]")
    elif harm == "short":
        decoded.path.write_bytes(b"12")
    else:
        decoded.path.unlink()
    assert np.array_equal(floats(decode(path, cache)), noise(0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_samples_that_are_no_numbers(tmp_path, noise, cache, bad):
    signal = noise(0)
    signal[0, 12000] = bad
    write(tmp_path / "a.wav", signal, RATE, subtype="FLOAT")
    with pytest.raises(DatasetError, match=r"a\.wav' holds NaN or infinite samples"):
        decode(tmp_path / "a.wav", cache)
    assert not list(cache.iterdir())


def test_a_file_that_breaks_off(tmp_path, noise, cache):
    path = tmp_path / "a.wav"
    write(path, noise(0), RATE, subtype="PCM_16")
    part = part_of(path)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(DatasetError, match=r"cannot use a file.*a\.wav' is truncated"):
        PcmCache(cache, sample_rate=RATE, channels=2).decode([part])
    assert not list(cache.iterdir())


def test_a_full_disk_leaves_nothing_behind(tmp_path, noise, cache, monkeypatch):
    write(tmp_path / "a.wav", noise(0), RATE, subtype="PCM_16")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"cannot keep 'a\.wav' .*No space left.*cache_dir"):
        decode(tmp_path / "a.wav", cache)
    assert not list(cache.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of processes")
@pytest.mark.parametrize("room", [0, 10_000])
def test_a_write_that_the_system_refuses_leaves_nothing_behind(tmp_path, noise, cache, room):
    import resource

    write(tmp_path / "a.wav", noise(0), RATE, subtype="PCM_16")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(DatasetError, match=r"cannot keep 'a\.wav' .*too large.*cache_dir"):
            decode(tmp_path / "a.wav", cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(cache.iterdir())
    assert np.array_equal(floats(decode(tmp_path / "a.wav", cache)), noise(0))


def test_a_cache_folder_that_cannot_be(tmp_path, noise):
    write(tmp_path / "a.wav", noise(0), RATE)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot make the cache folder .*cache_dir"):
        decode(tmp_path / "a.wav", tmp_path / "file" / "cache")


def test_an_emptied_cache_is_noticed(tmp_path, noise, cache):
    write(tmp_path / "a.wav", noise(0), RATE)
    decoded = decode(tmp_path / "a.wav", cache)
    decoded.path.unlink()
    with pytest.raises(DatasetError, match="gone from the cache"):
        decoded.open()


def decode_all(paths: list[Path], folder: Path) -> None:
    torch.set_num_threads(1)
    parts = [part_of(path) for path in paths]
    decoded = PcmCache(folder, sample_rate=RATE, channels=2).decode(parts)
    assert all(decoded[part].open().shape == (2, part.frames) for part in parts)


def test_processes_that_decode_the_same_files_do_no_harm(tmp_path, noise, cache):
    paths = [tmp_path / f"{index}.wav" for index in range(6)]
    for index, path in enumerate(paths):
        write(path, noise(index), RATE, subtype="PCM_16")
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=decode_all, args=(paths, cache)) for _ in range(2)]
    for process in others:
        process.start()
    decode_all(paths, cache)
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    assert len(list(cache.iterdir())) == 12
    for index, path in enumerate(paths):
        assert np.array_equal(floats(decode(path, cache)), noise(index))


def test_progress_is_told(tmp_path, noise, cache):
    write(tmp_path / "a.wav", noise(0), RATE)
    told = []
    part = part_of(tmp_path / "a.wav")
    PcmCache(cache, sample_rate=RATE, channels=2).decode(
        [part, part], progress=lambda *now: told.append(now)
    )
    assert told == [(1, 1)]


def test_unfinished_files_of_killed_processes_are_removed_the_next_day(tmp_path, noise, cache):
    write(tmp_path / "a.wav", noise(0), RATE)
    cache.mkdir()
    old, young = cache / ".key.part-1.pcm", cache / ".key.part-2.pcm"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    decode(tmp_path / "a.wav", cache)
    assert not old.exists()
    assert young.exists()
