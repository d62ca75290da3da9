import numpy as np
import pytest
import scipy.signal
import torch

from unweave._core.windows import WINDOW_NAMES, get_window
from unweave.errors import ParameterError

SCIPY = {
    "hann": "hann",
    "hamming": "hamming",
    "blackman": "blackman",
    "blackmanharris": "blackmanharris",
    "bartlett": "bartlett",
    "kaiser": ("kaiser", 12.0),
    "rectangular": "boxcar",
    "ones": "boxcar",
}


@pytest.mark.parametrize("length", [2, 3, 16, 255, 2048])
@pytest.mark.parametrize("name", SCIPY)
def test_equals_scipy(name, length):
    expected = scipy.signal.get_window(SCIPY[name], length, fftbins=True)
    np.testing.assert_allclose(get_window(name, length), expected, atol=1e-15)


def test_kaiser_takes_its_beta():
    expected = scipy.signal.get_window(("kaiser", 5.0), 64)
    np.testing.assert_allclose(get_window(("kaiser", 5.0), 64), expected, atol=1e-15)


def test_sqrt_hann_squared_is_hann():
    np.testing.assert_allclose(
        get_window("sqrt_hann", 100).square(), get_window("hann", 100), atol=1e-15
    )


@pytest.mark.parametrize("name", WINDOW_NAMES)
def test_every_window_is_periodic_symmetric_and_within_0_and_1(name):
    window = get_window(name, 64)
    assert window.dtype == torch.float64
    assert window.min() >= 0
    assert window.max() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(window[1:], window[1:].flip(0), atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", WINDOW_NAMES)
def test_a_window_of_one_sample_is_one(name):
    assert get_window(name, 1) == 1


def test_the_cache_cannot_be_spoilt():
    get_window("hann", 8).zero_()
    assert get_window("hann", 8).sum() == pytest.approx(4)


def test_a_window_of_inference_mode_leaves_no_trace():
    with torch.inference_mode():
        get_window("hamming", 77)
    x = torch.ones(77, dtype=torch.float64, requires_grad=True)
    (x * get_window("hamming", 77)).sum().backward()
    assert x.grad is not None


def test_samples_are_kept_as_they_are():
    samples = torch.rand(5, requires_grad=True)
    assert get_window(samples, 5) is samples
    array = np.random.default_rng(0).random(5)
    np.testing.assert_array_equal(get_window(array, 5), array)


@pytest.mark.parametrize(
    ("window", "text"),
    [
        ("han", "did you mean 'hann'"),
        ("zzz", "unknown window 'zzz': choose from"),
        (("hann", 2.0), "takes no parameter"),
        (torch.ones(7), r"shape \(7,\) must have the shape \(8,\)"),
        (torch.ones(8, dtype=torch.int64), "must hold real"),
        (torch.ones(8, dtype=torch.complex64), "must hold real"),
    ],
)
def test_faults_say_what_to_do(window, text):
    with pytest.raises(ParameterError, match=text):
        get_window(window, 8)
