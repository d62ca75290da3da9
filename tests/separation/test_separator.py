"""Any signal comes back in its own rate, channels and length, and the stems sum to it."""

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unweave import audio
from unweave.errors import AudioFileError, Cancelled, ParameterError, UnweaveError
from unweave.separation import SeparationOptions, Separator


def stacked(stems):
    return torch.stack(list(stems.values()))


@given(
    length=st.integers(0, 5000),
    rate=st.sampled_from([1000, 7350, 8000, 11025, 44100, 48000]),
    channels=st.integers(1, 5),
    block=st.integers(1, 3000),
    batch_size=st.integers(1, 3),
    shifts=st.integers(0, 2),
)
@settings(max_examples=80, deadline=None)
def test_any_signal_keeps_its_length_and_its_sum(
    gain_net, length, rate, channels, block, batch_size, shifts
):
    signal = 0.3 * torch.randn(channels, length, generator=torch.Generator().manual_seed(length))
    before = signal.clone()
    separator = Separator(gain_net(), device="cpu", batch_size=batch_size, shifts=shifts)
    blocks = list(separator.stream(signal.split(block, dim=-1), rate, channels))
    stems = torch.cat([torch.zeros(4, channels, 0), *blocks], -1)
    assert stems.shape == (4, channels, length)
    assert torch.equal(signal, before)
    if length:
        error = float((stems.sum(0) - signal).abs().max() / signal.abs().max())
        assert error < 10 ** (-100 / 20)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_a_gain_over_segments_is_exactly_the_gain(gain_net, noise, channels):
    net = gain_net()
    signal = noise(channels, 20000)
    stems = Separator(net, mixture_consistency=False).separate(signal, net.sample_rate)
    assert len(net.calls) > 5
    for stem, gain in zip(stems.values(), net.gains.flatten(), strict=True):
        assert torch.equal(stem, signal * gain)


def test_segments_joined_are_the_whole_for_a_convolution(conv_net, noise, level):
    signal = noise(2, 30000)
    stems = Separator(conv_net, overlap=0.25, mixture_consistency=False).separate(signal, 8000)
    with torch.no_grad():
        whole = conv_net(signal[None])[0]
    assert level(stacked(stems), whole) < -100


@pytest.mark.parametrize("rate", [8000, 22050, 32000, 48000, 96000, 192000])
def test_resampling_in_and_out_is_flat_and_without_delay(gain_net, level, rate):
    net = gain_net((1.0,), sample_rate=44100, segment=0.1)
    time = torch.arange(rate // 2) / rate
    edge = min(rate, 44100) / 2
    tones = [torch.sin(2 * torch.pi * part * edge * time + part) for part in (0.01, 0.3, 0.6, 0.85)]
    signal = 0.2 * sum(tones)
    signal = signal * torch.hann_window(len(signal)).sqrt()
    stem = Separator(net, mixture_consistency=False).separate(signal, rate)["vocals"]
    assert stem.shape == signal.shape
    assert level(stem, signal) < -60


def test_mono_goes_through_a_stereo_network_on_both_sides(noise):
    class Sides(nn.Module):
        sources, channels, sample_rate, segment = ("left", "right"), 2, 8000, 0.2

        def forward(self, x):
            zero = torch.zeros_like(x[:, :1])
            return torch.stack((torch.cat((x[:, :1], zero), 1), torch.cat((zero, x[:, 1:]), 1)), 1)

    signal = noise(3, 4000)
    stems = Separator(Sides(), mixture_consistency=False).separate(signal, 8000)
    expected = torch.stack((signal[0], torch.zeros(4000), 0.5 * signal[2]))
    torch.testing.assert_close(stems["left"], expected)
    mono = Separator(Sides(), mixture_consistency=False).separate(signal[0], 8000)
    torch.testing.assert_close(mono["right"], 0.5 * signal[0])


@pytest.mark.parametrize("shape", [(700,), (1, 700), (2, 700), (3, 2, 700), (2, 3, 2, 700), (2, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_of_any_kind_come_back_as_they_were(gain_net, shape, dtype):
    array = np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
    before = array.copy()
    separator = Separator(gain_net())
    stems = separator.separate(array, 8000)
    tensors = separator.separate(torch.from_numpy(array), 8000)
    for name, stem in stems.items():
        assert isinstance(stem, np.ndarray)
        assert stem.dtype == dtype
        assert stem.shape == shape
        np.testing.assert_array_equal(stem, tensors[name].numpy())
    np.testing.assert_allclose(sum(stems.values()), array, atol=1e-6)
    np.testing.assert_array_equal(array, before)


def test_leading_axes_are_separate_signals(conv_net, noise):
    separator = Separator(conv_net)
    signals = noise(3, 2, 5000)
    together = separator.separate(signals, 8000)
    for index, signal in enumerate(signals):
        for name, stem in separator.separate(signal, 8000).items():
            assert torch.equal(together[name][index], stem)


def test_batches_and_blocks_make_no_difference(conv_net, noise, level):
    signal = noise(5, 20000)
    plain = stacked(Separator(conv_net).separate(signal, 8000))
    batched = stacked(Separator(conv_net, batch_size=4).separate(signal, 8000))
    assert level(batched, plain) < -110


def test_silence_gives_silence(gain_net):
    stems = Separator(gain_net()).separate(torch.zeros(2, 9000), 11025)
    assert not stacked(stems).any()


def test_results_take_part_in_gradients(gain_net, noise):
    stem = Separator(gain_net()).separate(noise(2, 100), 8000)["bass"]
    factor = torch.ones((), requires_grad=True)
    (stem * factor).sum().backward()
    assert factor.grad is not None


# Options


def test_shifts_average_displaced_runs(conv_net, gain_net, noise, level):
    signal = noise(2, 12000)
    plain = stacked(Separator(conv_net).separate(signal, 8000))
    shifted = stacked(Separator(conv_net, shifts=3).separate(signal, 8000))
    assert level(shifted[..., 200:], plain[..., 200:]) < -100  # the start is no longer an edge
    net = gain_net()
    gains = stacked(Separator(net, shifts=3).separate(signal, 8000))
    torch.testing.assert_close(gains, stacked(Separator(net).separate(signal, 8000)))


def test_shifts_differ_with_their_seed_only(gain_net, noise):
    class Waning(gain_net):
        def forward(self, x):
            return super().forward(x * torch.linspace(1, 0, x.shape[-1]))

    def separate(**options):
        return stacked(Separator(Waning(), **options).separate(noise(2, 9000), 8000))

    plain, first, again = separate(), separate(shifts=2), separate(shifts=2)
    assert torch.equal(first, again)
    assert not torch.allclose(first, plain)
    assert not torch.allclose(first, separate(shifts=2, seed=1))


def test_random_shifts_leave_the_global_generator_alone(gain_net, noise):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Separator(gain_net(), shifts=2).separate(noise(2, 100), 8000)
    assert torch.equal(torch.rand(4), expected)


def test_residual_is_what_the_stems_lack(gain_net, noise):
    signal = noise(2, 3000)
    separator = Separator(gain_net((0.5, 0.25)), residual=True)
    assert separator.stems == ("vocals", "drums", "residual")
    stems = separator.separate(signal, 8000)
    assert torch.equal(stems["vocals"], 0.5 * signal)
    torch.testing.assert_close(stems["residual"], 0.25 * signal)


def test_consistency_shares_the_rest_equally(gain_net, noise):
    signal = noise(2, 3000)
    stems = Separator(gain_net((0.5, 0.25))).separate(signal, 8000)
    torch.testing.assert_close(stems["vocals"], 0.625 * signal)
    torch.testing.assert_close(stems["drums"], 0.375 * signal)


def test_with_options_shares_the_network(gain_net):
    separator = Separator(gain_net(), segment=1.0, batch_size=2)
    other = separator.with_options(residual=True)
    assert other.model is separator.model
    assert other.options == SeparationOptions(segment=1.0, batch_size=2, residual=True)
    assert not separator.options.residual


def test_segment_sets_what_the_network_sees_at_once(gain_net, noise):
    net = gain_net()
    Separator(net, segment=0.5, overlap=0.2).separate(noise(2, 16000), 8000)
    assert {call[-1] for call in net.calls} <= set(range(4000 - 63, 4001))


# Streams and files


def test_memory_does_not_grow_with_the_length(gain_net):
    """What has gone in and not yet come out stays below three segments, however long it runs."""
    net = gain_net(sample_rate=44100, segment=0.5)
    separator = Separator(net, batch_size=2, shifts=2)
    consumed = produced = lag = 0

    def endless():
        nonlocal consumed
        while True:
            consumed += 5000
            yield torch.zeros(2, 5000)

    for block in separator.stream(endless(), 48000, 2):
        produced += block.shape[-1]
        lag = max(lag, consumed - produced)
        if produced > 48000 * 20:
            break
    assert lag < 3 * 0.5 * 48000 + 0.5 * 48000  # and the largest displacement


def test_progress_rises_to_the_length(gain_net, noise):
    reports = []
    separator = Separator(gain_net())
    separator.separate(noise(2, 2, 12000), 16000, progress=lambda *report: reports.append(report))
    done = [seconds for seconds, _ in reports]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.5)
    assert {total for _, total in reports} == {1.5}


def test_cancel_stops_between_segments(gain_net, noise):
    net = gain_net()
    event = threading.Event()

    def cancel():
        if len(net.calls) == 2:
            event.set()
        return event.is_set()

    with pytest.raises(Cancelled):
        Separator(net).separate(noise(2, 50000), 8000, cancel=cancel)
    assert len(net.calls) == 2


def test_files_are_streamed_at_their_own_rate(gain_net, noise, tmp_path):
    path = tmp_path / "song.wav"
    signal = noise(3, 10000)
    audio.write(path, signal, 12000)
    separator = Separator(gain_net())
    stems = torch.cat(list(separator.stream_file(path)), -1)
    torch.testing.assert_close(stems, stacked(separator.separate(signal, 12000)))
    part = torch.cat(list(separator.stream_file(path, start=0.25, duration=0.1)), -1)
    assert part.shape == (4, 3, 1200)
    torch.testing.assert_close(part.sum(0), signal[:, 3000:4200], atol=1e-6, rtol=0)
    tail = torch.cat(list(separator.stream_file(path, start=0.8, duration=99)), -1)
    assert tail.shape[-1] == 400


def test_impossible_parts_of_files_are_refused(gain_net, noise, tmp_path):
    path = tmp_path / "song.wav"
    audio.write(path, noise(1, 800), 8000)
    separator = Separator(gain_net())
    with pytest.raises(ParameterError, match=r"start=0\.2 s: .*song\.wav lasts 0\.10 s"):
        list(separator.stream_file(path, start=0.2))
    with pytest.raises(ParameterError, match="duration=0 s"):
        list(separator.stream_file(path, duration=0))
    with pytest.raises(AudioFileError):
        list(separator.stream_file(tmp_path / "missing.wav"))


# Errors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"overlap": 1}, "overlap=1 must lie between 0 and 0.95"),
        ({"overlap": math.nan}, "overlap=nan"),
        ({"segment": 0}, "segment=0 must be seconds"),
        ({"segment": math.nan}, "segment=nan"),
        ({"segment": 0.01}, "needs at least 256"),
        ({"shifts": -1}, "shifts=-1"),
        ({"batch_size": 0}, "batch_size=0 must be a positive integer"),
        ({"shift": 1}, "unknown option 'shift': did you mean 'shifts'"),
        ({"device": "abacus"}, "device='abacus' is not available: use auto"),
        ({"device": "cuda:77"}, "device='cuda:77' is not available: use auto"),
    ],
)
def test_options_out_of_range_are_refused(gain_net, options, text):
    with pytest.raises(ParameterError, match=text):
        Separator(gain_net(), **options)


def test_what_is_no_network_is_refused():
    with pytest.raises(ParameterError, match="a Linear was given as model"):
        Separator(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="unknown model 'bandmas': did you mean 'bandmask'"):
        Separator("bandmas")


@pytest.mark.parametrize(
    ("signal", "rate", "text"),
    [
        (torch.zeros(44100, 2), 44100, "has 44100 channels, up to 64 .* transpose"),
        (torch.zeros(2, 10, dtype=torch.int16), 44100, "torch.int16 was given"),
        (torch.tensor(1.0), 44100, "floating samples"),
        (torch.zeros(2, 10), 1, "sample_rate=1 Hz: whole numbers from 1000 to 768000"),
        (torch.zeros(2, 10), 44100.5, "sample_rate=44100.5 Hz"),
        (torch.full((2, 10), math.nan), 44100, r"sample 0 \(0.000 s\) of channel 0 is nan"),
    ],
)
def test_signals_that_cannot_be_separated_are_refused(gain_net, signal, rate, text):
    with pytest.raises(ParameterError, match=text):
        Separator(gain_net()).separate(signal, rate)


def test_a_network_of_wrong_shape_is_named(gain_net, noise):
    class Short(gain_net):
        def forward(self, x):
            return super().forward(x)[..., 1:]

    with pytest.raises(ParameterError, match=r"answered \(1, 2, 2000\) with \(1, 4, 2, 1999\)"):
        Separator(Short()).separate(noise(2, 100), 8000)


def test_too_little_memory_says_what_helps(gain_net, noise):
    class Greedy(gain_net):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        UnweaveError, match=r"cpu has too little memory for 1 x 0\.2 s .*segment=0\.12"
    ):
        Separator(Greedy()).separate(noise(2, 100), 8000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same(conv_net, noise, level):
    signal = noise(2, 20000)
    here = stacked(Separator(conv_net, device="cpu").separate(signal, 8000))
    there = stacked(Separator(conv_net, device="cuda").separate(signal.cuda(), 8000))
    assert there.device.type == "cuda"
    assert level(there.cpu(), here) < -60


def test_a_networks_own_segment_is_made_as_long_as_its_grid_needs(gain_net, noise):
    net = gain_net()
    net.segment, net.hop_length = 0.1, net.sample_rate
    audio = noise(net.channels, 6 * net.sample_rate)
    stems = Separator(net, device="cpu").separate(audio, net.sample_rate)
    assert next(iter(stems.values())).shape == audio.shape
    with pytest.raises(ParameterError, match="too short"):
        Separator(net, device="cpu", segment=0.1)


@pytest.mark.parametrize(
    ("sources", "whole"), [(["vocals", "drums"], False), (["a", "other"], True)]
)
def test_stems_that_are_not_all_there_is_do_not_share_the_rest(noise, sources, whole):
    from unweave.models.separators import WaveSeparator

    network = WaveSeparator(sources=sources, channels=1, hidden_channels=2).eval()
    signal = noise(1, 20000)
    stems = stacked(Separator(network, device="cpu").separate(signal, network.sample_rate))
    rest = signal - stems.sum(0)
    assert (float(rest.abs().max()) < 1e-4) == whole
    network.sums_to_mixture = not whole
    stems = stacked(Separator(network, device="cpu").separate(signal, network.sample_rate))
    assert (float((signal - stems.sum(0)).abs().max()) < 1e-4) != whole
