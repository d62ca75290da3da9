import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import (
    ISTFT,
    STFT,
    ChromaSTFT,
    Gammatonegram,
    MelSpectrogram,
    StreamingISTFT,
    StreamingSTFT,
    istft,
    stft,
)


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def streamed(stream, pieces, **end):
    return torch.cat([*(stream.push(piece) for piece in pieces), stream.flush(**end)], -1)


@st.composite
def settings_of_frames(draw):
    n_fft = draw(st.integers(1, 40))
    return {
        "n_fft": n_fft,
        "hop_length": draw(st.integers(1, n_fft + 5)),
        "center": draw(st.booleans()),
        "window": draw(st.sampled_from(["hann", "hamming", "ones"])),
    }


def pieces(draw, total):
    sizes = draw(st.lists(st.integers(0, 60), max_size=20))
    cuts = np.minimum(np.cumsum([0, *sizes]), total).tolist()
    return [b - a for a, b in zip(cuts, [*cuts[1:], total], strict=True)]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), keys=settings_of_frames())
def test_any_blocks_give_the_spectrogram_of_the_whole(data, keys):
    length = data.draw(st.integers(keys["n_fft"] + 1, 300))
    pad_mode = data.draw(st.sampled_from(["reflect", "constant", "replicate"]))
    x = noise(2, length, dtype=torch.float64)
    blocks = x.split(pieces(data.draw, length), dim=-1)
    stream = StreamingSTFT(STFT(**keys, pad_mode=pad_mode))
    out = streamed(stream, blocks)
    expected = stft(x, **keys, pad_mode=pad_mode)
    assert out.shape == expected.shape
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), keys=settings_of_frames())
def test_any_frames_at_a_time_give_the_audio_of_the_whole(data, keys):
    length = data.draw(st.integers(keys["n_fft"] + 1, 300))
    spec = stft(noise(2, length, dtype=torch.float64), **keys)
    spec = spec * torch.rand(spec.shape, generator=torch.Generator().manual_seed(1))
    stream = StreamingISTFT(ISTFT(**keys))
    blocks = spec.split(pieces(data.draw, spec.shape[-1]), dim=-1)
    wanted = data.draw(st.sampled_from([None, length]))
    try:
        expected = istft(spec, length=wanted, **keys)
    except ParameterError:
        with pytest.raises(ParameterError):
            streamed(stream, blocks, length=wanted)
        return
    if wanted is not None and wanted < istft(spec, **keys).shape[-1]:
        return
    out = streamed(stream, blocks, length=wanted)
    assert out.shape == expected.shape
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("output", ["complex", "magnitude", "phase", "power"])
def test_leading_axes_and_outputs(output, shape):
    x = noise(*shape, 1000)
    layer = STFT(n_fft=64, output=output)
    out = streamed(StreamingSTFT(layer), x.split(137, dim=-1))
    torch.testing.assert_close(out, layer(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype):
    x = noise(1000).to(dtype)
    layer = STFT(n_fft=64, output="power")
    out = streamed(StreamingSTFT(layer), x.split(137))
    assert out.dtype == dtype
    torch.testing.assert_close(out, layer(x))


@pytest.mark.parametrize(
    "keys",
    [
        {"trainable": True},
        {"trainable_window": True},
        {"freq_scale": "log", "fmin": 50, "sample_rate": 8000},
        {"freq_bins": 5},
    ],
)
def test_other_layers_stream_too(keys):
    x, layer = noise(2, 1000), STFT(n_fft=64, **keys)
    with torch.no_grad():
        out = streamed(StreamingSTFT(layer), x.split(99, dim=-1))
        torch.testing.assert_close(out, layer(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("keys", [{"trainable": True}, {"trainable_window": True}])
def test_trained_inverses_stream_too(keys):
    x = noise(2, 1000)
    with torch.no_grad():
        stream = StreamingISTFT(ISTFT(n_fft=64, **keys))
        out = streamed(stream, stft(x, n_fft=64).split(7, dim=-1), length=1000)
    torch.testing.assert_close(out, x, atol=1e-5, rtol=0)


def test_frames_come_as_early_as_their_latency_says():
    layer = STFT(n_fft=64, hop_length=16)
    stream = StreamingSTFT(layer)
    given = 0
    for sample in range(1, 300):
        given += stream.push(torch.zeros(1)).shape[-1]
        ready = 1 + (sample - stream.latency) // 16 if sample > 32 else 0
        assert given == ready
    uncentred = StreamingSTFT(STFT(n_fft=64, hop_length=16, center=False))
    assert uncentred.latency == 64
    assert uncentred.push(torch.zeros(63)).shape[-1] == 0
    assert uncentred.push(torch.zeros(1)).shape[-1] == 1


def test_memory_does_not_grow():
    layer = STFT(n_fft=64)
    stream, inverse = StreamingSTFT(layer), StreamingISTFT(ISTFT(n_fft=64))
    for _ in range(50):
        inverse.push(stream.push(torch.zeros(2, 1000)))
    kept = [*vars(stream._stream).values(), *vars(inverse).values()]
    sizes = [t.untyped_storage().nbytes() for t in kept if isinstance(t, torch.Tensor)]
    assert len(sizes) >= 3
    assert max(sizes) <= 4 * 2 * 64


def test_a_stream_can_be_used_again():
    layer, x = STFT(n_fft=64), noise(700)
    stream = StreamingSTFT(layer)
    stream.push(noise(3, 50))
    stream.reset()
    for _ in range(2):
        torch.testing.assert_close(streamed(stream, x.split(100)), layer(x))
    inverse = StreamingISTFT(ISTFT(n_fft=64))
    inverse.push(stft(noise(3, 700), n_fft=64))
    inverse.reset()
    for _ in range(2):
        out = streamed(inverse, layer(x).split(5, dim=-1), length=700)
        torch.testing.assert_close(out, x, atol=1e-5, rtol=0)


def test_blocks_are_not_modified():
    x = noise(2, 500)
    kept = x.clone()
    spec = StreamingSTFT(STFT(n_fft=64)).push(x)
    before = spec.clone()
    StreamingISTFT(ISTFT(n_fft=64)).push(spec)
    assert torch.equal(x, kept)
    assert torch.equal(spec, before)


SCALED = {"freq_scale": "log", "fmin": 50, "sample_rate": 8000}


def started(stream, block):
    stream.push(block)
    return stream


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: StreamingSTFT(STFT()).flush(), "push some first"),
        (lambda: StreamingISTFT(ISTFT()).flush(), "push some frames first"),
        (lambda: StreamingSTFT(STFT()).push(torch.zeros(9).int()), "must be audio"),
        (lambda: started(StreamingSTFT(STFT()), torch.zeros(9)).flush(), "too short to be mirror"),
        (
            lambda: started(StreamingSTFT(STFT(center=False)), torch.zeros(9)).flush(),
            "has no whole frame",
        ),
        (
            lambda: started(StreamingSTFT(STFT()), torch.zeros(9)).push(torch.zeros(2, 9)),
            r"does not continue audio of shape \('...',\)",
        ),
        (lambda: StreamingISTFT(ISTFT(**SCALED)), "inverted from all frames at once"),
        (lambda: StreamingISTFT(ISTFT(n_fft=16)).push(torch.zeros(9, 4)), "must be a complex"),
        (
            lambda: started(StreamingISTFT(ISTFT(n_fft=16)), torch.zeros(9, 4) + 0j).push(
                torch.zeros(2, 9, 4) + 0j
            ),
            "does not continue",
        ),
        (
            lambda: started(StreamingISTFT(ISTFT(n_fft=16)), torch.zeros(9, 9) + 0j).flush(
                length=1
            ),
            "28 samples were given already",
        ),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("kind", ["mel", "gammatone", "chroma"])
def test_layers_in_bands_stream_too(kind, trained):
    keys = {"sample_rate": 8000, "n_fft": 256, "hop_length": 100, "trainable_STFT": trained}
    layers = {
        "mel": lambda: MelSpectrogram(n_mels=20, trainable_mel=trained, **keys),
        "gammatone": lambda: Gammatonegram(n_bins=20, **keys),
        "chroma": lambda: ChromaSTFT(**keys),
    }
    layer = layers[kind]()
    audio = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    stream = StreamingSTFT(layer)
    parts = [stream.push(block) for block in audio.split(700, dim=-1)] + [stream.flush()]
    torch.testing.assert_close(torch.cat(parts, -1), layer(audio), atol=1e-4, rtol=1e-4)
