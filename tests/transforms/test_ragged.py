import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import STFT, ragged

LAYER = STFT(n_fft=64, output="magnitude")


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(33, 500), min_size=1, max_size=5))
def test_each_signal_is_transformed_as_if_alone(lengths):
    x = torch.randn(len(lengths), 2, 500)
    out, frames = ragged(LAYER, x, lengths=torch.tensor(lengths))
    for row, size in enumerate(lengths):
        alone = LAYER(x[row, :, :size])
        assert frames[row] == alone.shape[-1]
        torch.testing.assert_close(out[row, ..., : alone.shape[-1]], alone)
        assert (out[row, ..., alone.shape[-1] :] == 0).all()


def test_the_filling_never_matters_and_gets_no_gradient():
    x = torch.randn(2, 300).requires_grad_()
    lengths = torch.tensor([300, 200])
    out, _ = ragged(LAYER, x, lengths=lengths)
    out.sum().backward()
    assert (x.grad[1, 200:] == 0).all()
    assert (x.grad[1, :200] != 0).any()
    with torch.no_grad():
        changed = x.clone()
        changed[1, 200:] = torch.nan
        torch.testing.assert_close(ragged(LAYER, changed, lengths=lengths)[0], out.detach())


@pytest.mark.parametrize(
    ("x", "lengths", "text"),
    [
        (torch.zeros(100), torch.tensor([100]), r"shape \(100,\)"),
        (torch.zeros(0, 100), torch.tensor([], dtype=torch.long), "at least one"),
        (torch.zeros(2, 100), torch.tensor([100]), r"lengths of shape \(1,\)"),
        (torch.zeros(2, 100), torch.tensor([1.0, 2.0]), "float32"),
        (torch.zeros(2, 100), torch.tensor([100, 101]), r"lengths\[1\]=101"),
    ],
)
def test_faults_say_what_to_do(x, lengths, text):
    with pytest.raises(ParameterError, match=text):
        ragged(LAYER, x, lengths=lengths)
