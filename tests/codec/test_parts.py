"""Long audio: several images in one file, that are one spectrogram."""

import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unweave import audio
from unweave.codec import SpectrogramCodec, _encoding, _files, _mpf, _sounds, decode_image
from unweave.codec.folders import DecodeJob, EncodeJob, decode_files, encode_files
from unweave.datasets import SpectrogramImageFolder
from unweave.datasets.imagefiles import probe
from unweave.errors import CodecError, ParameterError
from unweave.evaluation import sdr
from unweave.transforms import stft

RATE = 8000
SETTINGS = {"n_fft": 128, "hop_length": 48, "max_frequency": None, "quality": 98}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_encoding, "PART_FRAMES", 384)


def noise(channels, length, seed=0):
    made = 0.1 * torch.randn(channels, length, generator=torch.Generator().manual_seed(seed))
    return made * torch.linspace(0.01, 1, length)  # each part has bounds of its own


@pytest.fixture
def codec():
    return SpectrogramCodec(**SETTINGS)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "replicate"])
@pytest.mark.parametrize("length", [390 * 48, 2 * 384 * 48 - 48, 1000 * 48 + 5])
def test_parts_are_pieces_of_one_spectrogram(center, pad_mode, length):
    settings = {"center": center, "pad_mode": pad_mode}
    codec = SpectrogramCodec(**SETTINGS, **settings)
    sound = noise(2, length)
    wanted = stft(sound, n_fft=128, hop_length=48, output="magnitude", **settings)
    file = codec.encode(sound, sample_rate=RATE)
    info = codec.info(file)
    frames = wanted.shape[-1]
    assert (info.version, info.length, info.frames, info.channels) == (2, length, frames, 2)
    assert info.parts == -(-frames // 384) == len(info.spans)
    again = codec.decode(file)
    for first, last in info.spans:
        found, true = again[..., first:last], wanted[..., first:last]
        assert float((found - true).norm() / true.norm()) < 0.03
    assert codec.encode_spectrogram(wanted, sample_rate=RATE, length=length)[-200:] == file[-200:]


def test_what_fits_into_one_image_has_one(codec):
    info = codec.info(codec.encode(noise(1, 383 * 48), sample_rate=RATE))
    assert (info.version, info.parts, info.span) == (1, 1, (0, 384))


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
def test_excerpts_are_those_of_the_whole(codec, kind):
    file = codec.encode(noise(2, 1200 * 48), sample_rate=RATE, path="long.jpg")
    source = {"bytes": file, "path": "long.jpg", "file": None}[kind]
    whole = codec.decode(file)
    for start, count in [(0, 5), (380, 8), (384, 384), (100, 1000), (1200, 1), (0, 1201)]:
        part = codec.decode(source or io.BytesIO(file), start=start, frames=count)
        assert torch.equal(part, whole[..., start : start + count])
    out = torch.empty(3, 2, 65, 500)
    codec.decode(file, start=300, frames=500, out=out[1])
    assert torch.equal(out[1], whole[..., 300:800])


def test_an_excerpt_reads_its_own_image_only(codec, monkeypatch):
    codec.encode(noise(1, 2000 * 48), sample_rate=RATE, path="long.jpg")
    read = []
    one = _files.read_image
    monkeypatch.setattr(_files, "read_image", lambda *args: read.append(args[1]) or one(*args))
    codec.decode("long.jpg", start=1600, frames=50)
    assert read == [0, 4]


def test_audio_comes_back(codec):
    sound = noise(2, 900 * 48 + 7)
    file = codec.encode(sound, sample_rate=RATE)
    assert float(sdr(codec.resynthesise(file, mixture=sound), sound)) > 25
    assert codec.resynthesise(file, n_iter=1).shape == sound.shape


def test_programs_that_know_the_format_show_all_images(codec):
    file = codec.encode(noise(1, 900 * 48), sample_rate=RATE)
    with Image.open(io.BytesIO(file)) as image:
        assert (image.format, image.n_frames) == ("MPO", 3)
        sizes = []
        for part in range(3):
            image.seek(part)
            image.load()
            sizes.append(image.size)
    assert sizes == [(384, 72), (384, 72), (136, 72)]
    assert decode_image(file)[0].shape == (72, 384)  # and others show the first


def test_what_is_no_whole_file_is_refused(codec):
    file = codec.encode(noise(1, 900 * 48), sample_rate=RATE)
    places = _mpf.places(file)
    assert places[-1][1] == len(file)
    second = file[slice(*places[1])]
    with pytest.raises(CodecError, match="number 2 of 3"):
        codec.info(second)
    with pytest.raises(CodecError, match="image 3 of 3 is not whole"):
        codec.decode(file[:-1])
    assert codec.decode(file[:-1], frames=768).shape[-1] == 768  # what is there can be read
    first = file[slice(*places[0])]
    at = first.index(b"MPF\0") - 4
    size = int.from_bytes(first[at + 2 : at + 4], "big")
    with pytest.raises(CodecError, match="without the images after the first"):
        codec.decode(first[:at] + first[at + 2 + size :])
    other = codec.encode(noise(1, 901 * 48), sample_rate=RATE)
    mixed = file[: places[1][0]] + other[slice(*_mpf.places(other)[1])]
    with pytest.raises(CodecError):
        codec.decode(mixed.ljust(len(file), b"\0"))


def test_damaged_files_are_decoded_or_refused(codec):
    file = codec.encode(noise(2, 900 * 48), sample_rate=RATE)
    draw = random.Random(0)
    refused = 0
    for _ in range(600):
        data = bytearray(file)
        begin = draw.choice([0, 0, *(begin for begin, _ in _mpf.places(file))])
        for _ in range(draw.choice([1, 2, 5])):
            at = min(begin + draw.randrange(900), len(data) - 1)
            match draw.randrange(3):
                case 0:
                    data[at] ^= 1 << draw.randrange(8)
                case 1:
                    del data[at : at + draw.choice([1, 2, 100])]
                case _:
                    data[at:at] = data[at : at + draw.choice([1, 4, 50])]
        try:
            found = codec.decode(bytes(data), start=draw.choice([0, 380, 800]), frames=100)
        except CodecError:
            refused += 1
        else:
            assert bool(torch.isfinite(found).all())
    assert 120 < refused < 600


def test_other_formats_say_which_one_takes_long_audio(codec):
    sound = noise(1, 17_000)
    with pytest.raises(ParameterError, match="format='jpeg' takes audio of any length"):
        SpectrogramCodec(n_fft=16, hop_length=1, format="webp").encode(sound, sample_rate=RATE)


def wav(name, sound):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    audio.write(name, sound, RATE)
    return Path(name)


@pytest.mark.parametrize("short", [0, 2**24])
def test_files_are_read_as_they_are_wanted(codec, monkeypatch, short):
    monkeypatch.setattr(_sounds, "_SHORT", short)
    sounds = [noise(2, 900 * 48, seed) for seed in (0, 1)]
    sources = [(wav(f"{index}.wav", sound), 0) for index, sound in enumerate(sounds)]
    jobs = [
        EncodeJob(Path("one.jpg"), tuple(sources[:1])),
        EncodeJob(Path("both.jpg"), tuple(sources)),
    ]
    for made in encode_files(jobs, codec=codec):
        assert made.error is None
        assert made.snr > 25
    assert Path("one.jpg").read_bytes() == codec.encode(sounds[0], sample_rate=RATE)
    assert codec.info("both.jpg").parts == 3
    decoding = [DecodeJob(Path("one.flac"), Path("one.jpg"), sources[0][0])]
    (made,) = decode_files(decoding)
    assert made.error is None
    again, rate = audio.read("one.flac")
    assert (rate, again.shape) == (RATE, sounds[0].shape)
    assert float(sdr(again, sounds[0])) > 25


@pytest.mark.parametrize("memory", [0, 0.07, 100])
def test_a_data_set_of_long_tracks(codec, memory):
    for stem, seed in (("mixture", 0), ("vocals", 1)):
        Path("set/song").mkdir(parents=True, exist_ok=True)
        codec.encode(noise(2, 1500 * 48, seed), sample_rate=RATE, path=f"set/song/{stem}.jpg")
    folder = SpectrogramImageFolder("set", sample_length=2, cache_dir="levels", memory=memory)
    assert folder.tracks[0].frames == 1500 * 48
    whole = [codec.decode(f"set/song/{stem}.jpg") for stem in ("mixture", "vocals")]
    for index in range(10):
        mixture, targets = folder.excerpt(index)
        starts = [
            at
            for at in range(whole[0].shape[-1] - folder.frames + 1)
            if torch.equal(whole[0][..., at : at + 3], mixture[..., :3])
        ]
        assert len(starts) == 1
        stop = starts[0] + folder.frames
        assert torch.equal(mixture, whole[0][..., starts[0] : stop])
        assert torch.equal(targets[0], whole[1][..., starts[0] : stop])
        assert folder._reader.used <= memory * 1e6
    assert torch.equal(folder.whole(0)[0], whole[0])
    assert replace(probe(Path("set/song/vocals.jpg")), bounds=(0, 1)).parts == 4
