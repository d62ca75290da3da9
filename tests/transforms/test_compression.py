import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import (
    LogCompress,
    PowerCompress,
    log_compress,
    log_expand,
    power_compress,
    power_expand,
)

PAIRS = [(log_compress, log_expand, "factor"), (power_compress, power_expand, "exponent")]


@pytest.mark.parametrize(("there", "back", "name"), PAIRS)
@given(values=st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1), value=st.floats(0.2, 5))
def test_round_trip(there, back, name, values, value):
    S = torch.tensor(values, dtype=torch.float64)
    out = there(S, **{name: value})
    assert (out >= 0).all()
    assert (out[S.argsort()].diff() >= 0).all()
    torch.testing.assert_close(back(out, **{name: value}), S)


def test_formulas():
    S = np.array([0.0, 0.5, 3.0])
    np.testing.assert_allclose(log_compress(S, factor=10), np.log(1 + 10 * S))
    np.testing.assert_allclose(power_compress(S, exponent=0.3), S**0.3)


@pytest.mark.parametrize(("there", "back", "name"), PAIRS)
def test_gradients(there, back, name):
    S = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    value = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    S.requires_grad_()
    assert torch.autograd.gradcheck(lambda S, v: there(S, **{name: v}), (S, value))
    assert torch.autograd.gradcheck(lambda S, v: back(S, **{name: v}), (S, value))
    silence = torch.zeros(3, requires_grad=True)
    back(there(silence)).sum().backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize(("there", "back", "name"), PAIRS)
def test_kinds_and_faults(there, back, name):
    S = torch.rand(2, 3)
    before = S.clone()
    for function in (there, back):
        assert isinstance(function(S.numpy()), np.ndarray)
        assert torch.equal(function(S.bfloat16()), function(S.bfloat16().float()).bfloat16())
        assert function(torch.tensor([1.0, torch.nan]))[1].isnan()
        with pytest.raises(ParameterError, match="must be real and floating"):
            function(S.int())
        with pytest.raises(ParameterError, match=f"{name}=0 must be a positive number"):
            function(S, **{name: 0})
    assert torch.equal(S, before)


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [(LogCompress, log_compress, "factor"), (PowerCompress, power_compress, "exponent")],
)
def test_modules(module, function, name):
    S = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    fixed, trained = module(**{name: 0.8}), module(**{name: 0.8}, trainable=True)
    assert torch.equal(fixed(S), function(S, **{name: 0.8}))
    torch.testing.assert_close(trained(S), fixed(S), atol=1e-6, rtol=1e-6)
    assert fixed.state_dict() == {}
    compiled = torch.compile(trained, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(S), trained(S))
    assert trained(S.bfloat16()).dtype == torch.bfloat16
    adam = torch.optim.Adam(trained.parameters(), lr=0.1)
    for _ in range(50):
        adam.zero_grad()
        (trained(S) - function(S, **{name: 2.0})).square().mean().backward()
        adam.step()
    torch.testing.assert_close(trained(S), function(S, **{name: 2.0}), atol=0.02, rtol=0)
    with pytest.raises(ParameterError, match=f"{name}=-1"):
        module(**{name: -1})
    with pytest.raises(ParameterError, match="must be real"):
        fixed(S.int())
