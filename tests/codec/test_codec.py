"""The codec: round trips of everything it takes, and files that are complete in themselves."""

import importlib.util
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.codec import (
    PRESETS,
    SpectrogramCodec,
    _jpeg,
    _lut,
    _pixels,
    _shares,
    limit_bandwidth,
    preset_settings,
    restore_bandwidth,
    scale,
)
from unweave.errors import AudioFileError, CodecError, ParameterError
from unweave.evaluation import sdr
from unweave.transforms import stft

RATE = 44_100
HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None


def noise(channels, length, seed=0):
    return torch.randn(channels, length, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=60)
@given(
    law=st.sampled_from(["power", "log", "log1p", "linear"]),
    bits=st.integers(1, 16),
    rounding=st.sampled_from(["nearest", "floor"]),
    stereo=st.sampled_from(["mid_side", "left_right"]),
    channels=st.integers(1, 5),
    length=st.integers(70, 700),
    n_fft=st.sampled_from([16, 31, 128]),
)
def test_lossless_round_trips_stay_within_the_stated_error(
    law, bits, rounding, stereo, channels, length, n_fft
):
    codec = SpectrogramCodec(
        "balanced",
        format="png",
        law=law,
        bits=bits,
        rounding=rounding,
        stereo=stereo,
        n_fft=n_fft,
        hop_length=1 + n_fft // 3,
        max_frequency=None,
    )
    audio = noise(channels, length)
    file = codec.encode(audio, sample_rate=RATE)
    info = codec.info(file)
    magnitude = stft(audio, n_fft=n_fft, hop_length=info.hop_length, output="magnitude")
    again = codec.decode(file)
    assert again.shape == magnitude.shape
    error = (scale(again.double(), law=law) - scale(magnitude.double(), law=law)).abs().max()
    assert float(error) <= info.error_bound * 1.0001 + 1e-5 * max(map(abs, info.bounds))
    assert (info.length, info.channels, info.sample_rate) == (length, channels, RATE)


@pytest.mark.parametrize("law", ["power", "log", "log1p", "linear"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("stereo", ["mid_side", "left_right"])
def test_the_table_gives_what_the_steps_give(law, channels, stereo, monkeypatch):
    if _lut.fills() is None:
        pytest.skip("needs numba")
    codec = SpectrogramCodec(law=law, stereo=stereo, quality=60)
    file = codec.encode(noise(channels, 9001), sample_rate=RATE)
    fast = codec.decode(file)
    monkeypatch.setattr(_lut, "fills", lambda: None)
    torch.testing.assert_close(codec.decode(file), fast, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("law", ["power", "log"])
@pytest.mark.parametrize("bits", [1, 2, 5, 7])
@pytest.mark.parametrize("stereo", ["mid_side", "left_right"])
def test_the_table_of_few_bits_gives_what_the_steps_give(law, bits, stereo, monkeypatch):
    if _lut.fills() is None:
        pytest.skip("needs numba")
    used = []
    fills = _lut.fills()
    monkeypatch.setattr(_lut, "fills", lambda: used.append(1) or fills)
    monkeypatch.setattr(_pixels, "_by_steps", lambda *_: pytest.fail("steps are slow"))
    codec = SpectrogramCodec("fast", law=law, bits=bits, stereo=stereo)
    file = codec.encode(noise(2, 9001), sample_rate=RATE)
    fast = codec.decode(file)
    assert used
    monkeypatch.undo()
    monkeypatch.setattr(_lut, "fills", lambda: None)
    torch.testing.assert_close(codec.decode(file), fast, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("function", [_lut.plain, _lut.mid_side])
def test_the_uncompiled_kernels_read_the_lowest_row_as_the_last(function):
    planes = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) + np.uint8(100)
    out = np.full((2, 5, 4), -1, np.float32)
    table = np.arange(512, dtype=np.float32)
    function(planes, table, out, 1, 3)
    first, second = planes[:, ::-1][:, 1:].astype(int)
    wanted = (first, second) if function is _lut.plain else (first + second, first - second + 256)
    np.testing.assert_array_equal(out[:, 1:3], np.stack(wanted))
    assert (out[:, [0, 3, 4]] == -1).all()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bits", [8, 5])
@pytest.mark.parametrize("upper", [1.0, 6.469254016876221, 1e-9, 1e12])
def test_cubes_are_the_numbers_of_the_table(both, upper, bits):
    pixels = np.arange(256) >> (8 - bits) << (8 - bits)
    planes = np.stack(np.meshgrid(pixels, pixels)).astype(np.uint8)
    info = SpectrogramCodec().info(SpectrogramCodec().encode(noise(2, 9999), sample_rate=RATE))
    info = replace(info, bounds=(0.0, upper), bits=bits)
    outs = []
    functions = (_lut.mid_side_cubes, _lut.mid_side) if both else (_lut.plain_cubes, _lut.plain)
    for cubes, function in zip((True, False), functions, strict=True):
        table = _pixels._table(info, both, cubes)
        for rows in (slice(0, 2), slice(120, 122), slice(254, 256)):
            outs.append(np.empty((2, 2, 256), np.float32))
            function(planes[:, rows], table, outs[-1], 0, 2)
    for cube, looked_up in zip(outs[:3], outs[3:], strict=True):
        np.testing.assert_array_equal(cube, looked_up)


@pytest.mark.parametrize("preset", ["balanced", "fast", "transparent", "norbert"])
@pytest.mark.parametrize("channels", [1, 2])
def test_threads_decode_the_same(preset, channels, monkeypatch):
    monkeypatch.setattr(_shares, "_SHARE", 2**12)
    codec = SpectrogramCodec(preset)
    file = codec.encode(noise(channels, 900_000), sample_rate=RATE)
    groups = []
    row_groups = _jpeg._row_groups
    monkeypatch.setattr(
        _jpeg, "_row_groups", lambda *args: groups.append(row_groups(*args)) or groups[-1]
    )
    decoded = []
    for threads in (1, 2, 3, 9):
        torch.set_num_threads(threads)
        decoded.append((codec.decode(file), codec.decode(file, start=300, frames=99)))
    for whole, part in decoded[1:]:
        assert torch.equal(whole, decoded[0][0])
        assert torch.equal(part, decoded[0][0][..., 300:399])
    if preset in ("balanced", "transparent"):
        assert [len(found) for found in groups[2::2]] == [2, 3, 9]


FORMATS = ["jpeg", "png", "webp", "avif", *(["jxl"] if HAS_JXL else [])]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_format_keeps_music(format, channels, music):
    audio = torch.cat([music, music.mean(0, keepdim=True)])[:channels]
    codec = SpectrogramCodec(format=format, quality=90)
    file = codec.encode(audio, sample_rate=RATE)
    again = codec.resynthesise(file, mixture=audio)
    assert float(sdr(again, audio)) > 20
    assert codec.info(file).channels == channels


@pytest.mark.parametrize(
    ("preset", "least", "most"),
    [
        ("norbert", 11, 24),
        ("small", 18, 11),
        ("balanced", 21, 17),
        ("fast", 25, 29),
        ("transparent", 28, 34),
    ],
)
def test_presets_keep_what_they_promise(preset, least, most, music):
    codec = SpectrogramCodec(preset)
    file = codec.encode(music, sample_rate=RATE)
    assert len(file) / 4 < 1000 * most
    assert float(sdr(codec.resynthesise(file, mixture=music), music)) > least


def test_files_are_complete_in_themselves(music, tmp_path):
    path = tmp_path / "odd.jpg"
    written = SpectrogramCodec(
        n_fft=1500, hop_length=431, window="blackman", center=False, law="log", dynamic_range=70.0
    ).encode(music[:, :77_777], sample_rate=48_000, path=path)
    assert path.read_bytes() == written
    reader = SpectrogramCodec("norbert")
    info = reader.info(path)
    assert (info.n_fft, info.hop_length, info.window, info.center) == (1500, 431, "blackman", False)
    assert (info.sample_rate, info.length, info.law) == (48_000, 77_777, "log")
    assert info.seconds == pytest.approx(77_777 / 48_000)
    assert reader.resynthesise(path, mixture=music[:, :77_777]).shape == (2, 77_777)
    assert [file.name for file in tmp_path.iterdir()] == ["odd.jpg"]


def test_bytes_paths_and_open_files_are_sources(music, tmp_path):
    codec = SpectrogramCodec()
    file = codec.encode(music, sample_rate=RATE, path=tmp_path / "a.jpg")
    wanted = codec.decode(file)
    for source in (str(tmp_path / "a.jpg"), tmp_path / "a.jpg", io.BytesIO(file), bytearray(file)):
        assert torch.equal(codec.decode(source), wanted)


@pytest.mark.parametrize("format", FORMATS)
def test_excerpts_are_those_of_the_whole(format):
    audio = noise(2, 600_000)
    codec = SpectrogramCodec(format=format, quality=40)
    file = codec.encode(audio, sample_rate=RATE)
    whole = codec.decode(file)
    frames = whole.shape[-1]
    assert torch.equal(codec.decode(file, start=0, frames=frames), whole)
    for start, count in [(0, 1), (frames - 1, 1), (255, 3), (300, 200)]:
        part = codec.decode(file, start=start, frames=count)
        assert torch.equal(part, whole[..., start : start + count])
    assert torch.equal(codec.decode(file, start=300), whole[..., 300:])


def test_an_excerpt_of_jpeg_decodes_a_part_only(monkeypatch):
    sizes = []
    decode = _jpeg.decode
    monkeypatch.setattr(_jpeg, "decode", lambda d, h: sizes.append(len(d)) or decode(d, h))
    codec = SpectrogramCodec()
    file = codec.encode(noise(2, 3_000_000), sample_rate=RATE)
    codec.decode(file, start=1500, frames=200)
    assert sizes[0] < len(file) / 4


def test_it_decodes_into_an_item_of_a_batch(music):
    codec = SpectrogramCodec()
    file = codec.encode(music, sample_rate=RATE)
    batch = torch.full((3, 2, 1025, 50), -1.0)
    given = codec.decode(file, start=7, frames=50, out=batch[1])
    assert torch.equal(batch[1], codec.decode(file, start=7, frames=50))
    assert given.data_ptr() == batch[1].data_ptr()
    assert (batch[[0, 2]] == -1).all()
    with pytest.raises(ParameterError, match="out of shape"):
        codec.decode(file, out=batch[1])


def test_the_bins_above_the_limit(music):
    codec = SpectrogramCodec()
    file = codec.encode(music, sample_rate=RATE)
    zeros = codec.decode(file)
    kept = limit_bandwidth(zeros, sample_rate=RATE)
    assert not zeros[:, 744:].any()
    extended = codec.decode(file, fill="extend")
    torch.testing.assert_close(
        extended, restore_bandwidth(kept, freq_bins=1025, fill="extend"), rtol=1e-5, atol=1e-7
    )


def test_spectrograms_are_encoded_as_audio_is(music):
    codec = SpectrogramCodec()
    spec = stft(music, hop_length=1024)
    wanted = codec.encode(music, sample_rate=RATE)
    length = music.shape[-1]
    for same in (spec, spec.abs(), spec.numpy()):
        assert codec.encode_spectrogram(same, sample_rate=RATE, length=length) == wanted
    assert codec.encode(music.numpy(), sample_rate=RATE) == wanted
    short = codec.encode_spectrogram(spec, sample_rate=RATE)
    assert codec.info(short).length == (spec.shape[-1] - 1) * 1024


def test_nothing_given_is_modified(music):
    audio = music.clone()
    spec = stft(music, hop_length=1024)
    copy = spec.clone()
    codec = SpectrogramCodec()
    file = codec.encode(audio, sample_rate=RATE)
    codec.encode_spectrogram(spec, sample_rate=RATE)
    codec.resynthesise(file, mixture=spec)
    assert torch.equal(audio, music)
    assert torch.equal(spec, copy)


@pytest.mark.parametrize("preset", PRESETS)
def test_silence_stays_silent(preset):
    codec = SpectrogramCodec(preset)
    file = codec.encode(torch.zeros(2, 20_000), sample_rate=RATE)
    assert float(codec.decode(file).max()) < 1e-3


def test_hard_panned_sound_stays_on_its_side():
    audio = noise(2, 60_000)
    audio[1] = 0
    codec = SpectrogramCodec(quality=90)
    again = codec.decode(codec.encode(audio, sample_rate=RATE))
    assert float(again[1].norm() / again[0].norm()) < 0.01


def test_equal_channels_stay_equal(music):
    codec = SpectrogramCodec()
    again = codec.decode(codec.encode(music[:1].expand(2, -1), sample_rate=RATE))
    assert torch.equal(again[0], again[1])


def test_griffin_and_lim_take_the_place_of_a_mixture(music):
    codec = SpectrogramCodec()
    file = codec.encode(music[:, :30_000], sample_rate=RATE)
    again = [
        codec.resynthesise(file, n_iter=20, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    ]
    assert torch.equal(*again)
    wanted = codec.decode(file)
    error = stft(again[0], hop_length=1024, output="magnitude") - wanted
    assert float(error.norm() / wanted.norm()) < 0.35


def test_phases_may_be_a_spectrogram_or_mono(music):
    codec = SpectrogramCodec()
    file = codec.encode(music, sample_rate=RATE)
    from_audio = codec.resynthesise(file, mixture=music)
    from_spectrum = codec.resynthesise(file, mixture=stft(music, hop_length=1024))
    assert torch.equal(from_audio, from_spectrum)
    mono = codec.resynthesise(file, mixture=music.mean(0, keepdim=True).numpy())
    assert mono.shape == music.shape


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c, f: c.decode(f, start=44), "start=44 and frames=None must lie within the 44"),
        (lambda c, f: c.decode(f, start=-1), "start=-1"),
        (lambda c, f: c.decode(f, start=3, frames=42), "frames=42"),
        (lambda c, f: c.decode(f, frames=0), "frames=0"),
        (lambda c, f: c.decode(f, fill="x"), "fill='x'"),
        (lambda c, f: c.resynthesise(f, mixture=torch.zeros(2, 9)), "as long as the audio"),
        (lambda c, f: c.resynthesise(f, mixture=torch.zeros(3, 44_100)), "1 or 2"),
        (lambda c, f: c.encode(torch.zeros(9), sample_rate=RATE), "channels, time"),
        (lambda c, f: c.encode(torch.zeros(1, 0), sample_rate=RATE), "not empty"),
        (lambda c, f: c.encode(torch.zeros(1, 9).int(), sample_rate=RATE), "floating"),
        (lambda c, f: c.encode(torch.full((1, 9999), torch.nan), sample_rate=RATE), "finite"),
        (lambda c, f: c.encode(torch.zeros(1, 9999), sample_rate=0), "sample_rate=0"),
        (lambda c, f: c.encode_spectrogram(torch.zeros(1, 9, 9), sample_rate=RATE), "1025"),
        (lambda c, f: c.encode_spectrogram(-torch.ones(1, 1025, 9), sample_rate=RATE), "negative"),
        (lambda c, f: SpectrogramCodec("smal"), "did you mean 'small'"),
        (lambda c, f: SpectrogramCodec(hop=3), "unknown setting 'hop'"),
        (lambda c, f: SpectrogramCodec(hop_lenth=3), "did you mean 'hop_length'"),
        (lambda c, f: SpectrogramCodec(bits=16), "bits=16 needs format='png'"),
        (lambda c, f: SpectrogramCodec(format="gif"), "format='gif'"),
        (lambda c, f: SpectrogramCodec("norbert", format="png"), "norbert=True needs"),
        (lambda c, f: preset_settings("balanced", window="flat"), "window='flat'"),
    ],
)
def test_wrong_parameters_are_refused(call, text):
    codec = SpectrogramCodec()
    file = codec.encode(noise(2, 44_100), sample_rate=RATE)
    with pytest.raises(ParameterError, match=text):
        call(codec, file)


def test_files_that_cannot_be_read_or_written(tmp_path):
    codec = SpectrogramCodec()
    with pytest.raises(AudioFileError, match="cannot read"):
        codec.decode(tmp_path / "none.jpg")
    with pytest.raises(AudioFileError, match="folder"):
        codec.encode(noise(1, 9999), sample_rate=RATE, path=tmp_path / "none" / "a.jpg")


def test_too_many_values_are_refused_before_memory_is_taken():
    spec = torch.zeros(1, 1, 1).expand(2, 1025, 140_000)
    with pytest.raises(ParameterError, match="JPEG takes long audio"):
        SpectrogramCodec(format="png").encode_spectrogram(spec, sample_rate=RATE)


def test_audio_too_long_for_the_format_is_refused():
    spec = torch.zeros(1, 9, 17_000)
    codec = SpectrogramCodec(n_fft=16, hop_length=8, format="webp")
    with pytest.raises(ParameterError, match="too large: webp takes 16383 a side"):
        codec.encode_spectrogram(spec, sample_rate=8000)
    codec = SpectrogramCodec(n_fft=16, hop_length=8, format="png")
    assert codec.info(codec.encode_spectrogram(spec, sample_rate=8000)).frames == 17_000


def test_an_image_that_was_resized_is_refused(music):
    from PIL import Image

    codec = SpectrogramCodec(format="png")
    with Image.open(io.BytesIO(codec.encode(music, sample_rate=RATE))) as image:
        buffer = io.BytesIO()
        image.resize((50, 60)).save(buffer, "PNG", exif=image.info["exif"])
    with pytest.raises(CodecError, match="another program has changed it"):
        codec.decode(buffer.getvalue())
