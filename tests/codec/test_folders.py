"""Many files to images and back, beside the codec's own answers for one."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave import audio
from unweave.codec import SpectrogramCodec, _rejoin
from unweave.codec._rejoin import rejoined
from unweave.codec.folders import (
    DecodeJob,
    DecodeOptions,
    EncodeJob,
    decode_files,
    encode_files,
)
from unweave.errors import AudioFileError, CodecError, ParameterError

RATE = 8000
SMALL = {"n_fft": 256, "hop_length": 64, "max_frequency": None}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def noise(length, channels=2, seed=0):
    made = torch.randn(channels, length, generator=torch.Generator().manual_seed(seed))
    return 0.1 * made


def reads(values):
    return lambda first, last: values[..., first:last]


def wav(name, sound, rate=RATE):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, sound, rate)
    return path


def encoded(job, **words):
    (file,) = encode_files([job], **{"codec": SpectrogramCodec(**SMALL)} | words)
    return file


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(150, 3000),
    hop=st.integers(20, 200),
    channels=st.integers(1, 2),
    mono=st.booleans(),
    piece=st.integers(1, 1500),
    preset=st.sampled_from(["balanced", "norbert"]),
)
def test_pieces_are_those_of_the_whole(length, hop, channels, mono, piece, preset):
    codec = SpectrogramCodec(preset, n_fft=256, hop_length=hop)
    file = codec.encode(noise(length, channels), sample_rate=RATE)
    phases = noise(length, 1 if mono else channels, seed=1)
    info = codec.info(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rejoin, "_PIECE", piece)
        pieces = list(rejoined(reads(codec.decode(file)), reads(phases), info))
    wanted = codec.resynthesise(file, mixture=phases)
    torch.testing.assert_close(torch.cat(pieces, -1), wanted, rtol=1e-4, atol=1e-5)


def test_pieces_without_centred_frames():
    codec = SpectrogramCodec(**SMALL, center=False)
    sound = noise(2000)
    file = codec.encode(sound, sample_rate=RATE)
    (whole,) = rejoined(reads(codec.decode(file)), reads(sound), codec.info(file))
    wanted = codec.resynthesise(file, mixture=sound)
    torch.testing.assert_close(whole, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("preset", ["balanced", "norbert"])
def test_files_are_those_of_the_codec(preset):
    sound = noise(4001)
    path = wav("a.wav", sound)
    codec = SpectrogramCodec(preset, **SMALL)
    file = encoded(EncodeJob(Path("deep/er/a.jpg"), ((path, 0),)), codec=codec)
    assert file.error is None
    assert Path("deep/er/a.jpg").read_bytes() == codec.encode(sound, sample_rate=RATE)
    assert (file.status, file.seconds) == ("ok", 4001 / RATE)
    assert file.size == Path("deep/er/a.jpg").stat().st_size
    again = codec.resynthesise("deep/er/a.jpg", mixture=sound)
    snr = 10 * math.log10(float(sound.square().sum() / (again - sound).square().sum()))
    assert file.snr == pytest.approx(snr, abs=1e-3)


def test_the_ratio_of_silence_is_undefined_and_can_be_left_out():
    job = EncodeJob(Path("a.png"), ((wav("a.wav", torch.zeros(1, 900)), 0),))
    assert math.isnan(encoded(job).snr)
    job = EncodeJob(Path("b.jpg"), ((wav("b.wav", noise(900)), 0),))
    assert math.isnan(encoded(job, measure=False).snr)


def test_stems_are_summed_to_the_shortest():
    parts = [noise(length, seed=length) for length in (3000, 2900, 3100)]
    sources = tuple((wav(f"{len(p[0])}.wav", p), 0) for p in parts)
    before = [path.read_bytes() for path, _ in sources]
    file = encoded(EncodeJob(Path("mixture.jpg"), sources))
    assert file.source == Path("mixture.jpg")
    wanted = SpectrogramCodec(**SMALL).encode(
        sum(part[:, :2900] for part in parts), sample_rate=RATE
    )
    assert Path("mixture.jpg").read_bytes() == wanted
    assert [path.read_bytes() for path, _ in sources] == before


@pytest.mark.parametrize(
    ("other", "rate", "text"),
    [
        (noise(4000, 1), RATE, "1 channels"),
        (noise(4000), 16000, "16000 Hz"),
        (noise(9000), RATE, "aligned"),
    ],
)
def test_what_cannot_be_summed_is_named(other, rate, text):
    sources = ((wav("a.wav", noise(4000)), 0), (wav("b.wav", other, rate), 0))
    file = encoded(EncodeJob(Path("mixture.jpg"), sources))
    assert isinstance(file.error, AudioFileError)
    assert text in str(file.error)
    assert "b.wav" in str(file.error)
    assert not Path("mixture.jpg").exists()


def test_audio_that_is_too_long_is_refused_before_it_is_read(monkeypatch):
    path = wav("long.wav", torch.zeros(1, 17_000))
    monkeypatch.setattr(audio, "read", lambda *_args, **_words: pytest.fail("it was read"))
    codec = SpectrogramCodec(n_fft=16, hop_length=1, format="webp")
    file = encoded(EncodeJob(Path("long.webp"), ((path, 0),)), codec=codec)
    assert isinstance(file.error, ParameterError)
    assert "long.wav" in str(file.error)
    assert "format='jpeg' takes audio of any length" in str(file.error)


def test_streams_that_are_not_there_and_empty_files_are_named():
    path = wav("a.wav", noise(900))
    assert "1 audio streams" in str(encoded(EncodeJob(Path("a.jpg"), ((path, 1),))).error)
    empty = wav("empty.wav", torch.zeros(1, 0))
    assert "no samples" in str(encoded(EncodeJob(Path("a.jpg"), ((empty, 0),))).error)


def test_one_failure_leaves_the_others_alone():
    good = [wav(f"{name}.wav", noise(900, seed=ord(name))) for name in "abc"]
    Path("bad.wav").write_bytes(b"RIFF")
    jobs = [EncodeJob(Path("out") / f"{p.stem}.jpg", ((p, 0),)) for p in [*good, Path("bad.wav")]]
    jobs.append(EncodeJob(Path("bad.wav/a.jpg"), ((good[0], 0),)))  # no folder can be made there
    for workers in (1, 3):
        files = list(
            encode_files(
                jobs, codec=SpectrogramCodec(**SMALL), workers=workers, existing="overwrite"
            )
        )
        states = sorted((file.status, file.target.name) for file in files)
        assert [name for status, name in states if status == "ok"] == ["a.jpg", "b.jpg", "c.jpg"]
        assert [name for status, name in states if status == "failed"] == ["a.jpg", "bad.jpg"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]


def test_what_is_there_is_refused_skipped_or_replaced():
    path = wav("a.wav", noise(900))
    job = EncodeJob(Path("a.jpg"), ((path, 0),))
    assert encoded(job).status == "ok"
    made = Path("a.jpg").read_bytes()
    wav("a.wav", noise(900, seed=5))
    assert "--skip-existing" in str(encoded(job).error)
    assert encoded(job, existing="skip").status == "skipped"
    assert Path("a.jpg").read_bytes() == made
    assert encoded(job, existing="overwrite").status == "ok"
    assert Path("a.jpg").read_bytes() != made
    other = SpectrogramCodec(n_fft=256, hop_length=128)
    found = encoded(job, existing="skip", codec=other).error
    assert isinstance(found, CodecError)
    assert "hop_length=64, not 128" in str(found)
    lower = SpectrogramCodec(**SMALL | {"max_frequency": 1000})
    found = encoded(job, existing="skip", codec=lower).error
    assert isinstance(found, CodecError)
    assert "bins=129, not 33" in str(found)
    Path("a.jpg").write_bytes(made[:100])
    assert encoded(job, existing="skip").status == "failed"


@pytest.mark.parametrize("words", [{"workers": 0}, {"existing": "keep"}])
def test_arguments_are_checked(words):
    with pytest.raises(ParameterError, match=next(iter(words))):
        list(encode_files([], codec=SpectrogramCodec(), **words))
    with pytest.raises(ParameterError, match=next(iter(words))):
        list(decode_files([], **words))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 777, 4001])
def test_audio_comes_back_as_long_as_it_was(length, channels):
    codec = SpectrogramCodec(**SMALL, pad_mode="constant")
    sound = noise(length, channels)
    codec.encode(sound, sample_rate=RATE, path="a.jpg")
    jobs = [
        DecodeJob(Path("own.wav"), Path("a.jpg"), wav("a.wav", sound)),
        DecodeJob(Path("mono.wav"), Path("a.jpg"), wav("b.wav", sound[:1])),
        DecodeJob(Path("sought.wav"), Path("a.jpg")),
    ]
    for file in decode_files(jobs, options=DecodeOptions(n_iter=2)):
        assert file.error is None
        assert audio.info(file.target).frames == length
        assert (audio.info(file.target).sample_rate, audio.info(file.target).channels) == (
            RATE,
            channels,
        )
        back = audio.read(file.target)[0]
        assert file.peak == pytest.approx(float(back.abs().max()))
    wanted = codec.resynthesise("a.jpg", mixture=sound)
    torch.testing.assert_close(audio.read("own.wav")[0], wanted, rtol=1e-4, atol=1e-5)


def test_sought_phases_depend_on_the_seed_alone():
    SpectrogramCodec(**SMALL).encode(noise(2000), sample_rate=RATE, path="a.jpg")
    made = []
    for seed in (0, 0, 1):
        options = DecodeOptions(n_iter=2, seed=seed)
        job = DecodeJob(Path("a.wav"), Path("a.jpg"))
        (file,) = decode_files([job], options=options, existing="overwrite")
        made.append(file.target.read_bytes())
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("sound", "rate", "text"),
    [
        (noise(900, 3), RATE, "3 channels"),
        (noise(900), 16000, "16000 Hz"),
        (noise(9000), RATE, "long"),
    ],
)
def test_phases_that_do_not_fit_are_named(sound, rate, text):
    SpectrogramCodec(**SMALL).encode(noise(900), sample_rate=RATE, path="a.jpg")
    job = DecodeJob(Path("back.wav"), Path("a.jpg"), wav("mix.wav", sound, rate))
    (file,) = decode_files([job])
    assert isinstance(file.error, AudioFileError)
    assert text in str(file.error)
    assert "mix.wav" in str(file.error)
    assert not Path("back.wav").exists()


def test_phases_may_be_a_little_shorter_or_longer():
    sound = noise(2000)
    SpectrogramCodec(**SMALL).encode(sound, sample_rate=RATE, path="a.jpg")
    for name, length in (("short", 1990), ("long", 2000)):
        job = DecodeJob(Path(f"{name}.wav"), Path("a.jpg"), wav("m.wav", sound[:, :length]))
        (file,) = decode_files([job])
        assert audio.info(file.target).frames == 2000


def test_images_without_a_rate_of_files_are_refused():
    SpectrogramCodec(**SMALL).encode(noise(900), sample_rate=8000.5, path="a.jpg")
    (file,) = decode_files([DecodeJob(Path("a.wav"), Path("a.jpg"))])
    assert "8000.5 Hz" in str(file.error)
