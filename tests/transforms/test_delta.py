import warnings

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import Delta, delta

MODES = ["interp", "nearest", "mirror", "constant", "wrap"]


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("width", "order"), [(3, 1), (9, 1), (9, 2), (5, 4), (21, 3)])
@pytest.mark.parametrize("shape", [(30,), (3, 30), (2, 3, 40)])
def test_equals_librosa(shape, width, order, mode):
    for dtype, limit in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        x = noise(*shape, dtype=dtype).numpy()
        expected = librosa.feature.delta(x, width=width, order=order, mode=mode)
        out = delta(x, width=width, order=order, mode=mode)
        assert out.dtype == x.dtype
        np.testing.assert_allclose(out, expected, rtol=0, atol=limit * np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_few_frames_are_continued_as_by_librosa(frames, mode):
    x = noise(2, frames, dtype=torch.float64).numpy()
    expected = librosa.feature.delta(x, mode=mode)
    np.testing.assert_allclose(delta(x, mode=mode), expected, atol=1e-14)


@given(order=st.integers(1, 4), half=st.integers(2, 8), shift=st.floats(-3, 3))
def test_derivatives_of_polynomials_are_exact(order, half, shift):
    time = torch.arange(30, dtype=torch.float64) / 10
    out = delta((time - shift) ** order, width=2 * half + 1, order=order)
    expected = torch.full((30,), float(np.prod(np.arange(1, order + 1))) / 10**order)
    torch.testing.assert_close(out, expected.double(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_and_transforms(mode):
    x = noise(2, 12, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: delta(x, width=5, mode=mode), (x,))
    layer, x = Delta(width=5, order=2, mode=mode), noise(3, 4, 30)
    before = x.clone()
    expected = layer(x)
    assert torch.equal(delta(x, width=5, order=2, mode=mode), expected)
    assert torch.equal(x, before)
    torch.testing.assert_close(torch.func.vmap(layer)(x), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
        frames = torch.export.Dim("frames", min=16)
        exported = torch.export.export(layer, (x,), dynamic_shapes=({2: frames},)).module()
    torch.testing.assert_close(compiled, expected)
    torch.testing.assert_close(exported(x[..., :20]), layer(x[..., :20]))
    half = layer(x.bfloat16())
    assert torch.equal(half, layer(x.bfloat16().float()).bfloat16())


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"width": 8}, "width=8 must be odd and at least 3"),
        ({"width": 1}, "width=1 must be odd"),
        ({"width": 3, "order": 3}, "order=3 must be below width=3"),
        ({"order": 0}, "order=0"),
        ({"mode": "reflect"}, "mode='reflect' must be one of"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        delta(torch.ones(20), **keys)
    with pytest.raises(ParameterError, match=text):
        Delta(**keys)


def test_wrong_features_are_refused():
    with pytest.raises(ParameterError, match=r"width=9 frames are more than the 8.*mode='nearest'"):
        delta(torch.ones(8))
    for wrong in (torch.tensor(1.0), torch.ones(20, dtype=torch.int32)):
        with pytest.raises(ParameterError):
            delta(wrong)
    assert delta(torch.ones(3, 0)).shape == (3, 0)
    x = torch.ones(20)
    x[10] = torch.nan
    assert delta(x).isnan().sum() == 9
