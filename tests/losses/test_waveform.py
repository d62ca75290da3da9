import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.losses import l1_loss, l1_snr_loss, l2_loss, sdr_loss, si_sdr_loss

LOSSES = [l1_loss, l2_loss, sdr_loss, si_sdr_loss, l1_snr_loss]


def pair(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randn(*shape, dtype=torch.float64, generator=generator)
    error = torch.randn(*shape, dtype=torch.float64, generator=generator)
    return (reference + 0.3 * error).to(dtype), reference.to(dtype)


def db(ratio):
    return 10 * torch.log10(ratio)


def formula(loss, e, s):
    """One signal, written out."""
    if loss is l1_loss:
        return (e - s).abs().mean()
    if loss is l2_loss:
        return ((e - s) ** 2).mean()
    if loss is sdr_loss:
        return -db((s**2).sum() / ((e - s) ** 2).sum())
    if loss is l1_snr_loss:
        return 2 * db(((e - s).abs().mean() + 1e-3) / (s.abs().mean() + 1e-3))
    target = (e * s).sum() / (s**2).sum() * s
    return -db((target**2).sum() / ((target - e) ** 2).sum())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_formulas_hold_for_any_leading_axes(loss, leading):
    e, s = pair(*leading, 2, 400)
    kept = e.clone(), s.clone()
    values = [formula(loss, *x) for x in zip(e.view(-1, 2, 400), s.view(-1, 2, 400), strict=True)]
    expected = torch.stack(values).reshape(leading)
    torch.testing.assert_close(loss(e, s, reduction="none"), expected)
    torch.testing.assert_close(loss(e, s), expected.mean())
    torch.testing.assert_close(loss(e, s, reduction="sum"), expected.sum())
    assert torch.equal(e, kept[0])
    assert torch.equal(s, kept[1])


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss):
    e, s = pair(2, 2, 9)
    e.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, s), (e,))
    lengths = torch.tensor([4, 9])
    assert torch.autograd.gradcheck(lambda x: loss(x, s, lengths=lengths), (e,))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_and_gradients_are_finite_on_silence_and_on_perfect_estimates(loss, dtype):
    _, tone = pair(2, 1, 50, dtype=dtype)
    silence = torch.zeros_like(tone)
    for e, s in ((silence, silence), (tone, silence), (silence, tone), (tone, tone)):
        e = e.clone().requires_grad_()
        value = loss(e, s)
        value.backward()
        assert value.dtype == dtype
        assert torch.isfinite(value)
        assert torch.isfinite(e.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_lengths_hide_what_follows(loss):
    e, s = pair(3, 2, 60)
    lengths = torch.tensor([60, 25, 1])
    expected = [loss(e[i, :, :n], s[i, :, :n]) for i, n in enumerate(lengths)]
    e[1, :, 25:], s[2, :, 1:] = torch.nan, torch.inf
    got = loss(e, s, lengths=lengths, reduction="none")
    torch.testing.assert_close(got, torch.stack(expected))


@settings(deadline=None, max_examples=25)
@given(level=st.floats(-40, 40), scale=st.floats(0.1, 10))
def test_decibels_follow_the_level_of_the_error(level, scale):
    e, s = pair(1, 300)
    error = e - s
    error = error - (error * s).sum() / s.square().sum() * s
    error = error * s.norm() / error.norm() * 10 ** (-level / 20)
    assert float(sdr_loss(s + error, s, eps=0)) == pytest.approx(-level, abs=1e-6)
    scaled = si_sdr_loss(scale * (s + error), s, eps=0)
    assert float(scaled) == pytest.approx(-level, abs=1e-6)
    assert float(l1_snr_loss(s * (1 + scale), s, eps=0)) == pytest.approx(
        20 * float(torch.tensor(scale).log10()), abs=1e-5
    )


def test_removing_the_mean_forgives_an_offset():
    e, s = pair(2, 2, 100)
    centred = [x - x.mean(-1, keepdim=True) for x in (e, s)]
    got = si_sdr_loss(e + 3, s - 2, zero_mean=True)
    torch.testing.assert_close(got, si_sdr_loss(*centred))
    lengths = torch.tensor([100, 40])
    short = si_sdr_loss(e[1, :, :40] + 3, s[1, :, :40], zero_mean=True)
    e[1, :, :40] += 3
    got = si_sdr_loss(e, s, zero_mean=True, lengths=lengths, reduction="none")[1]
    torch.testing.assert_close(got, short)


def test_long_signals_in_half_precision():
    e = torch.full((1, 1, 200_000), 2.0, dtype=torch.float16)
    assert float(l1_loss(e, torch.zeros_like(e))) == 2
    assert float(l2_loss(e, torch.zeros_like(e))) == 4
    assert float(sdr_loss(1.5 * e, e)) == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize("loss", LOSSES)
def test_compiled_losses_equal_eager_ones(loss):
    e, s = pair(2, 1, 64)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(e, s), loss(e, s))


@pytest.mark.parametrize("loss", LOSSES)
def test_errors(loss):
    e, s = pair(2, 1, 10)
    with pytest.raises(ParameterError, match="same shape"):
        loss(e, s[..., :9])
    with pytest.raises(ParameterError, match="channels, time"):
        loss(e[0, 0], s[0, 0])
    with pytest.raises(ParameterError, match="floating"):
        loss(e.long(), s.long())
    with pytest.raises(ParameterError, match="reduction"):
        loss(e, s, reduction="avg")
    with pytest.raises(ParameterError, match="one entry a signal"):
        loss(e, s, lengths=torch.tensor([1, 2, 3]))
