import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import (
    PowerToDB,
    amplitude_to_db,
    db_to_amplitude,
    db_to_power,
    power_to_db,
)


def powers(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_exponential(shape).astype(dtype) ** 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("top_db", [80.0, 20, 0, None])
@pytest.mark.parametrize("ref", [1.0, -0.3, 0.0, "max", np.median])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 7)])
def test_equals_librosa(shape, ref, top_db, dtype):
    S = powers(*shape, dtype=dtype)
    S.flat[:3] = 0
    theirs, ours = ref, ref
    if ref == "max":
        theirs = np.max
    elif callable(ref):
        ours = torch.tensor(float(np.median(S)), dtype=torch.float64).to(torch.from_numpy(S).dtype)
    for our, their in ((power_to_db, librosa.power_to_db),):
        expected = their(S, ref=theirs, top_db=top_db)
        out = our(S, ref=ours, top_db=top_db, axes=None)
        assert out.dtype == dtype
        np.testing.assert_allclose(
            out, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-10
        )
    expected = librosa.amplitude_to_db(S, ref=theirs, top_db=top_db, amin=1e-4)
    out = amplitude_to_db(S, ref=ours, top_db=top_db, amin=1e-4, axes=None)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-10)


def test_functions_may_be_references():
    S = torch.from_numpy(powers(4, 5))
    expected = librosa.power_to_db(S.numpy(), ref=np.mean)
    np.testing.assert_allclose(power_to_db(S, ref=torch.mean), expected, atol=1e-4)


def test_items_do_not_meet():
    S = torch.from_numpy(powers(3, 2, 5, 7))
    S[0] *= 1e9
    for ref in (1.0, "max"):
        rows = torch.stack([power_to_db(s, ref=ref) for s in S.reshape(6, 5, 7)])
        assert torch.equal(power_to_db(S, ref=ref), rows.reshape(S.shape))
    assert not torch.equal(power_to_db(S), power_to_db(S, axes=None))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(1e-8, 1e8), min_size=1, max_size=9), st.floats(0.01, 100), st.floats(0.1, 9)
)
def test_levels_come_back(values, ref, gain):
    S = torch.tensor([values], dtype=torch.float64)
    level = power_to_db(S, ref=ref, top_db=None)
    torch.testing.assert_close(db_to_power(level, ref=ref), S)
    torch.testing.assert_close(power_to_db(gain * S, ref=gain * ref, top_db=None), level)
    level = amplitude_to_db(S, ref=ref, top_db=None, amin=1e-9)
    torch.testing.assert_close(db_to_amplitude(level, ref=ref), S)


def test_inverses_equal_librosas():
    level = 40 * np.random.default_rng(1).standard_normal((3, 4))
    np.testing.assert_allclose(db_to_power(level, ref=3), librosa.db_to_power(level, ref=3))
    np.testing.assert_allclose(db_to_amplitude(level, ref=3), librosa.db_to_amplitude(level, ref=3))


@pytest.mark.parametrize("function", [power_to_db, amplitude_to_db])
def test_gradients(function):
    S = torch.from_numpy(powers(3, 4, dtype=np.float64)).clamp(min=1e-3).requires_grad_()
    for ref in (1.0, "max"):
        assert torch.autograd.gradcheck(lambda S, ref=ref: function(S, ref=ref, top_db=30), (S,))
    silence = torch.zeros(3, 4, requires_grad=True)
    function(silence, ref="max").sum().backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("function", [power_to_db, amplitude_to_db, db_to_power, db_to_amplitude])
def test_kinds(function):
    S = torch.from_numpy(powers(3, 4))
    before = S.clone()
    out = function(S)
    assert torch.equal(S, before)
    assert isinstance(function(S.numpy()), np.ndarray)
    half = S.half()
    assert torch.equal(function(half), function(half.float()).half())
    assert function(S[:, :0]).shape == (3, 0)
    assert function(S[0, 0]).shape == ()
    torch.testing.assert_close(
        torch.func.vmap(function)(S[:, None]).squeeze(1),
        torch.stack([function(row[None])[0] for row in S]),
    )
    assert out.shape == S.shape
    for wrong in (S.int(), torch.complex(S, S)):
        with pytest.raises(ParameterError, match=r"must be real and floating.*\.abs\(\)"):
            function(wrong)


@pytest.mark.parametrize(
    ("keys", "text"),
    [({"amin": 0}, "amin=0"), ({"top_db": -1}, "top_db=-1"), ({"ref": "mean"}, "ref='mean'")],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        power_to_db(torch.ones(2, 2), **keys)
    with pytest.raises(ParameterError, match=text):
        PowerToDB(**keys)


def test_not_a_number_passes_through():
    assert power_to_db(torch.tensor([[1.0, torch.nan]])).isnan().any()


def test_module():
    S = torch.from_numpy(powers(2, 3, 4))
    layer = PowerToDB(ref="max", top_db=30)
    assert torch.equal(layer(S), power_to_db(S, ref="max", top_db=30))
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(S), layer(S))
    assert layer.state_dict() == {}
