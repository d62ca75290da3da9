"""Augmentations: seeded, of any leading axes, never touching what they are given."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from unweave.datasets import (
    ChannelSwap,
    Compose,
    Equaliser,
    Gain,
    Limiter,
    Polarity,
    Remix,
    Repitch,
    standard_augmentation,
)
from unweave.datasets.equaliser import BELL, HIGH, LOW, biquad
from unweave.datasets.limiter import look_ahead_gain
from unweave.datasets.repitch import play, smooth
from unweave.errors import ParameterError

RATE = 8000
ALL = [
    Gain(),
    Polarity(),
    ChannelSwap(),
    Repitch(4.0, p=0.7),
    Repitch(4.0, p=0.7, apart=True),
    Equaliser(RATE, p=0.7),
    Limiter(RATE, p=0.7),
    standard_augmentation(RATE),
]
NAMES = [f"{type(a).__name__}{index}" for index, a in enumerate(ALL)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stems(*leading: int, time: int = 3000, dtype=torch.float32) -> torch.Tensor:
    return 0.3 * torch.randn(*leading, 4, 2, time, generator=seeded(9), dtype=dtype)


@pytest.mark.parametrize("augment", ALL, ids=NAMES)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_seeds_and_inputs(augment, leading, dtype):
    x = stems(*leading, dtype=dtype)
    kept = x.clone()
    y = augment(x, seeded())
    assert torch.equal(x, kept)
    assert y.dtype == dtype
    assert y.shape == (*leading, 4, 2, int(3000 / augment.context))
    assert y.isfinite().all()
    assert torch.equal(y, augment(x, seeded()))
    assert y.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("augment", ALL, ids=NAMES)
def test_seeds_differ_and_songs_are_drawn_apart(augment):
    x = stems(1).expand(8, -1, -1, -1)
    y = augment(x, seeded())
    assert not torch.equal(y, augment(x, seeded(1)))
    assert any(not torch.equal(y[0], other) for other in y[1:])


@pytest.mark.parametrize("augment", ALL[:-1], ids=NAMES[:-1])
def test_never_and_silence(augment):
    never = pickle.loads(pickle.dumps(augment))
    never.p = 0.0
    x = stems(2)
    assert torch.equal(never(x, seeded()), x[..., : int(3000 / never.context)])
    assert augment(torch.zeros_like(x), seeded()).abs().max() == 0
    assert "p=" in repr(augment)


@pytest.mark.parametrize("augment", [*ALL, Remix()], ids=[*NAMES, "Remix"])
def test_what_is_no_stems_is_refused(augment):
    for bad in (torch.zeros(2, 100), torch.zeros(4, 2, 100, dtype=torch.int16)):
        with pytest.raises(ParameterError, match="sources, channels, time"):
            augment(bad, seeded())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gain(0.0, 1.0),
        lambda: Gain(2.0, 1.0),
        lambda: Gain(p=1.1),
        lambda: Polarity(-0.1),
        lambda: Repitch(13.0),
        lambda: Equaliser(0),
        lambda: Equaliser(RATE, -1.0),
        lambda: Equaliser(RATE, 31.0),
        lambda: Limiter(RATE, 31.0),
    ],
)
def test_parameters_out_of_range(make):
    with pytest.raises(ParameterError):
        make()


def test_gains_lie_between_their_limits_evenly_in_their_logarithm():
    x = torch.ones(500, 4, 1, 1)
    factor = Gain(0.25, 4.0)(x, seeded()).flatten()
    assert factor.min() >= 0.25
    assert factor.max() <= 4
    assert (factor < 1).float().mean() == pytest.approx(0.5, abs=0.05)
    some = Gain(0.25, 0.5, p=0.3)(x, seeded()).flatten()
    assert (some == 1).float().mean() == pytest.approx(0.7, abs=0.05)


def test_signs_and_sides():
    x = stems(100, time=8)
    turned = Polarity(0.5)(x, seeded()) / x
    assert set(turned.unique().tolist()) == {-1.0, 1.0}
    assert (turned[..., 0, 0] < 0).float().mean() == pytest.approx(0.5, abs=0.06)
    swapped = ChannelSwap(0.5)(x, seeded())
    did = (swapped == x.flip(-2)).all(-1).all(-1)
    assert did.float().mean() == pytest.approx(0.5, abs=0.06)
    assert torch.equal(swapped[~did], x[~did])


@pytest.mark.parametrize("p", [1.0, 0.5])
def test_remix_permutes_each_source_among_the_songs(p):
    x = torch.arange(24.0).reshape(6, 4, 1, 1).expand(6, 4, 2, 5)
    y = Remix(p)(x, seeded())
    for source in range(4):
        assert sorted(y[:, source, 0, 0].tolist()) == x[:, source, 0, 0].tolist()
    assert not torch.equal(x, y)
    many = Remix(p)(x[None].expand(3, -1, -1, -1, -1), seeded())
    assert not torch.equal(many[0], many[1])


def test_remix_of_one_song():
    with pytest.raises(ParameterError, match="one song: Remix needs"):
        Remix()(stems(), seeded())


def test_compose_is_one_after_the_other():
    parts = Repitch(2.0, p=1.0), Gain(), Repitch(3.0, p=1.0)
    both = Compose(*parts)
    x = stems(2)
    generator = seeded()
    one = x
    for each in parts:
        one = each(one, generator)
    assert torch.equal(both(x, seeded()), one)
    assert both.context == pytest.approx(2 ** (5 / 12))
    assert repr(both).startswith("Compose(Repitch(")


@pytest.mark.parametrize("semitones", [-12.0, -3.3, -0.2, 0.7, 5.0, 12.0])
def test_repitch_of_a_tone(semitones):
    pace, tone = 2 ** (semitones / 12), 0.02 * torch.pi
    length = 10_000
    x = torch.sin(tone * torch.arange(25_000, dtype=torch.float64))
    y = play(x, pace, length).numpy()
    inner = slice(50, -50)
    phase = np.unwrap(np.angle(np.fft.ifft(np.fft.fft(y) * (np.fft.fftfreq(length) > 0))))
    measured = np.polyfit(np.arange(length)[inner], phase[inner], 1)[0] / tone
    assert pace * (1 - 3e-3) < measured < pace * (1 + 1e-6)  # 5 cents
    ideal = np.sin(tone * measured * np.arange(length))
    assert np.abs(y - ideal)[inner].max() < 0.02


def test_repitch_upwards_leaves_no_alias():
    x = torch.sin(0.9 * torch.pi * torch.arange(20_000, dtype=torch.float64))
    y = play(x, 1.5, 10_000)
    assert y[200:-200].abs().max() < 1e-3


def test_repitch_keeps_stems_together_unless_told():
    x = stems(time=4000)[:1].expand(4, -1, -1)
    together = Repitch(4.0, p=1.0)(x, seeded())
    assert all(torch.equal(together[0], other) for other in together[1:])
    apart = Repitch(4.0, p=1.0, apart=True)(x, seeded())
    assert not any(torch.equal(apart[0], other) for other in apart[1:])


def test_repitch_is_linear_so_that_the_mixture_stays_the_sum():
    x = stems(dtype=torch.float64)
    mixed = torch.cat([x, x.sum(0, keepdim=True)])
    y = Repitch(4.0, p=1.0)(mixed, seeded(3))
    torch.testing.assert_close(y[:4].sum(0), y[4])


@given(st.integers(1, 100_000))
@settings(max_examples=50, deadline=None)
def test_lengths_of_fast_transforms(size):
    found = smooth(size)
    assert size <= found <= 1.1 * size + 2
    for prime in (2, 3, 5, 7, 11):
        while found % prime == 0:
            found //= prime
    assert found == 1


@pytest.mark.parametrize("kind", [LOW, BELL, HIGH])
@pytest.mark.parametrize("gain", [-9.0, 6.0])
def test_biquads_have_their_gain_where_they_should(kind, gain):
    b, a = biquad(kind, torch.tensor([0.1]), torch.tensor([gain]), torch.tensor([0.7071]))
    z = np.exp(-2j * np.pi * np.array([1e-6, 0.1, 0.5]))
    level = [np.polyval(c[0].numpy()[::-1], z) for c in (b, a)]
    found = 20 * np.log10(np.abs(level[0] / level[1]))
    expected = {
        LOW: [gain, gain / 2, 0],
        BELL: [0, gain, 0],
        HIGH: [0, gain / 2, gain],
    }[kind]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_the_equaliser_filters_as_recursive_filters_do(monkeypatch):
    made = []

    def watched(*args):
        made.append(biquad(*args))
        return made[-1]

    monkeypatch.setattr("unweave.datasets.equaliser.biquad", watched)
    x = stems(time=2000, dtype=torch.float64)
    y = Equaliser(RATE, 12.0, p=1.0)(x, seeded())
    for stem in range(4):
        expected = x[stem].numpy()
        for b, a in made:
            expected = lfilter(b[stem].numpy(), a[stem].numpy(), expected)
        np.testing.assert_allclose(y[stem].numpy(), expected, atol=1e-6)
    assert not torch.allclose(y, x)


@given(st.integers(0, 2**31), st.integers(1, 40), st.floats(0.1, 30.0))
@settings(max_examples=40, deadline=None)
def test_the_limiter_lets_nothing_beyond_one(seed, reach, level):
    x = torch.rand(500, generator=seeded(seed), dtype=torch.float64).pow(4) * level
    gain = look_ahead_gain(x, reach)
    assert gain.min() > 0
    assert gain.max() <= 1
    assert (x * gain).max() <= 1
    assert gain.diff().abs().max() <= 1 / (2 * reach + 1) + 1e-9  # smooth


def test_the_window_of_the_limiter_is_that_of_the_slow_formula():
    x = torch.rand(60, generator=seeded(), dtype=torch.float64) * 3
    reach = 7
    around = torch.stack([x[max(0, t - reach) : t + reach + 1].max() for t in range(60)])
    gains = (1 + around**8) ** (-1 / 8)
    slow = torch.stack([gains[max(0, t - reach) : t + reach + 1].mean() for t in range(60)])
    torch.testing.assert_close(look_ahead_gain(x, reach), slow)


def test_the_limiter_gives_all_stems_one_gain_and_keeps_the_peak_down():
    x = stems(6, dtype=torch.float64)
    y = Limiter(RATE, 12.0, p=0.5)(x, seeded())
    gain = y / x
    torch.testing.assert_close(gain, gain[:, :1, :1].expand_as(gain))
    before, after = (s.sum(1).abs().amax((-2, -1)) for s in (x, y))
    assert (after <= before * (1 + 1e-12)).all()
    changed = ~(y == x).flatten(1).all(1)
    assert changed.any()
    assert not changed.all()
    assert (y.square().mean((1, 2, 3)) >= x.square().mean((1, 2, 3)))[changed].all()


def test_the_limiter_does_not_depend_on_the_level():
    x = stems(dtype=torch.float64)
    one, two = (Limiter(RATE, p=1.0)(x * level, seeded()) / level for level in (1.0, 1e-3))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("augment", [Gain(), Repitch(p=1.0), Equaliser(RATE, p=1.0)])
def test_gradients_flow(augment):
    x = stems(time=40, dtype=torch.float64)[:1, :1].requires_grad_()
    torch.autograd.gradcheck(lambda s: augment(s, seeded()), x)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("augment", [*ALL, Remix()], ids=[*NAMES, "Remix"])
def test_cuda_draws_what_the_cpu_draws(augment):
    x = stems(3)
    expected = augment(x, seeded())
    out = augment(x.cuda(), seeded())
    assert out.is_cuda
    torch.testing.assert_close(out.cpu(), expected, atol=1e-4, rtol=1e-3)
