"""Argument checks: what passes, and what the refusal says."""

import numpy as np
import pytest

from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError


@pytest.mark.parametrize("value", [1, 512, np.int64(3)])
def test_positive_integers_pass_as_int(value):
    assert positive_int("n", value) == value
    assert type(positive_int("n", value)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "1", np.float32(2)])
def test_everything_else_is_refused(value):
    with pytest.raises(ParameterError, match=r"^n_fft=.* must be a positive integer$"):
        positive_int("n_fft", value)


@pytest.mark.parametrize("value", [0, 1.5, np.float32(0.25)])
def test_non_negative_numbers_pass_as_float(value):
    assert non_negative("start", value) == value
    assert type(non_negative("start", value)) is float


@pytest.mark.parametrize("value", [-1, -0.1, float("nan"), float("inf"), True, None, "1"])
def test_negative_and_other_values_are_refused(value):
    with pytest.raises(ParameterError, match=r"^start=.* at least 0$"):
        non_negative("start", value)
