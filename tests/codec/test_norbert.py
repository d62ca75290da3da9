"""The preset "norbert" against norbert's README-era pipeline, written out with NumPy and SciPy."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import stft as scipy_stft

from unweave.codec import SpectrogramCodec
from unweave.errors import CodecError
from unweave.transforms import stft

N_FFT, BINS = 2048, 743  # at 44.1 kHz, below 16 kHz


def reference_codes(audio):
    """Transform, limit, scale to 80 dB and quantize; (channels, bins, frames)."""
    spectrum = scipy_stft(audio, nperseg=N_FFT)[2][:, :BINS]
    logs = np.log(np.maximum(np.finfo(float).eps, np.abs(spectrum)))
    bounds = [logs.max() - 4 * np.log(10), logs.max()]
    unit = (np.clip(logs, *bounds) - bounds[0]) / (bounds[1] - bounds[0])
    return (unit * 255).astype(np.uint8), bounds


def reference_file(codes, bounds, quality=80):
    """Write norbert's picture: left red, right green, and the bounds in the user comment."""
    flipped = codes[:, ::-1]
    if len(codes) == 2:
        pixels = np.concatenate([flipped, np.zeros_like(flipped[:1])]).transpose(1, 2, 0)
    else:
        pixels = flipped[0]
    exif = Image.Exif()
    comment = json.dumps({"bounds": bounds}).encode()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + comment
    buffer = io.BytesIO()
    with Image.fromarray(np.ascontiguousarray(pixels)) as image:
        image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling=0, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [102_400, 100_001])
def test_pixels_are_norberts(channels, length, music):
    audio = music[:channels, :length].double().numpy()
    codes, bounds = reference_codes(audio)
    wanted = reference_file(codes, bounds)
    ours = SpectrogramCodec("norbert").encode(audio, sample_rate=44_100)
    with Image.open(io.BytesIO(wanted)) as a, Image.open(io.BytesIO(ours)) as b:
        assert a.size == b.size
        assert a.mode == b.mode
        assert a.quantization == b.quantization
        differs = np.asarray(a) != np.asarray(b)
        comment = json.loads(b.getexif().get_ifd(0x8769)[0x9286][8:])
    assert differs.mean() < 2e-4  # where rounding decides between two codes
    np.testing.assert_allclose(comment["bounds"], bounds, rtol=1e-12)
    assert abs(len(ours) - len(wanted)) < 800  # the longer comment


@pytest.mark.parametrize("channels", [1, 2])
def test_norberts_own_files_are_read(channels, music):
    audio = music[:channels, :102_400].double().numpy()
    codes, bounds = reference_codes(audio)
    file = reference_file(codes, bounds, quality=95)
    codec = SpectrogramCodec()  # of whatever preset
    info = codec.info(file)
    assert (info.channels, info.bins, info.n_fft, info.length) == (channels, BINS, N_FFT, 102_400)
    with Image.open(io.BytesIO(file)) as image:
        pixels = np.asarray(image)
    stored = pixels[::-1, :, :2].transpose(2, 0, 1) if channels == 2 else pixels[None, ::-1]
    logs = stored / 255 * (bounds[1] - bounds[0]) + bounds[0]
    wanted = np.exp(logs) * (N_FFT / 2)  # SciPy divides by the sum of the window
    again = codec.decode(file)
    np.testing.assert_allclose(again[:, :BINS], wanted, rtol=1e-5)
    magnitude = stft(torch.from_numpy(audio), hop_length=1024, pad_mode="constant").abs()
    assert float((again - magnitude).norm() / magnitude.norm()) < 0.15
    assert codec.resynthesise(file, mixture=audio).shape == audio.shape


def test_files_of_another_frame_size_need_the_right_one():
    audio = np.random.default_rng(0).normal(size=(2, 60_000))
    spectrum = scipy_stft(audio, nperseg=4096)[2]
    logs = np.log(np.abs(spectrum) + 1e-9)
    bounds = [logs.max() - 4 * np.log(10), logs.max()]
    file = reference_file(np.zeros(spectrum.shape, np.uint8) + np.uint8(9), bounds)
    with pytest.raises(CodecError, match="has 2049 bins"):
        SpectrogramCodec("norbert").info(file)
    info = SpectrogramCodec("norbert", n_fft=4096, hop_length=2048).info(file)
    assert (info.bins, info.n_fft) == (2049, 4096)


@pytest.mark.parametrize("bounds", [None, [1], [2, 1], ["a", "b"], [0, float("inf")], [0, 1e9]])
def test_foreign_bounds_are_refused(bounds):
    file = reference_file(np.zeros((2, BINS, 9), np.uint8), bounds)
    with pytest.raises(CodecError, match="two numbers that rise"):
        SpectrogramCodec("norbert").decode(file)


def test_three_channels_are_refused():
    from unweave.errors import ParameterError

    with pytest.raises(ParameterError, match="one or two channels, not 3"):
        SpectrogramCodec("norbert").encode(torch.zeros(3, 9000), sample_rate=44_100)
