from typing import NamedTuple

import numpy as np
import pytest
import torch

from unweave._core.arrays import array_function, to_tensor, two_array_function
from unweave.errors import ParameterError


class Pair(NamedTuple):
    a: torch.Tensor
    b: object


@array_function
def identity(x, *, other=None):
    """Return what was given."""
    return x if other is None else (x, other)


@two_array_function
def difference(x, y):
    return x - y


def test_numpy_gives_numpy_over_the_same_memory():
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    y = identity(x)
    assert isinstance(y, np.ndarray)
    assert np.shares_memory(x, y)


def test_tensor_is_passed_through_untouched():
    x = torch.arange(3.0, requires_grad=True)
    assert identity(x) is x


def test_the_first_array_decides_the_kind():
    array, tensor = np.zeros(2), torch.ones(2)
    out = identity(array, other=tensor)
    assert [type(item) for item in out] == [np.ndarray, np.ndarray]
    out = identity(tensor, other=array)
    assert [type(item) for item in out] == [torch.Tensor, torch.Tensor]
    assert isinstance(difference(y=array, x=array), np.ndarray)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0)[::-1],
        np.arange(6.0).reshape(2, 3)[:, ::-2],
        np.arange(6.0).astype(">f4"),
        np.broadcast_to(np.float32(3), (2, 4)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros(3, dtype=[("a", "i1"), ("b", "<f4")])["b"],
        np.array(2.5),
        np.zeros((2, 0)),
        np.array([1 + 2j]),
    ],
)
def test_unusual_memory_layouts_keep_their_values(array):
    before = array.copy()
    out = identity(array)
    np.testing.assert_array_equal(out, before)
    assert out.shape == array.shape
    assert out.dtype == array.dtype.newbyteorder("=")


def test_read_only_memory_is_shared_and_stays_read_only():
    x = np.arange(4.0)
    x.flags.writeable = False
    y = identity(x)
    assert np.shares_memory(x, y)
    assert not y.flags.writeable
    assert difference(x, x).flags.writeable
    assert not x.flags.writeable


def test_read_only_memory_outlives_its_array():
    x = np.full(1000, 7.0)
    x.flags.writeable = False
    tensor = to_tensor(x)
    del x
    junk = [np.zeros(1000) for _ in range(50)]
    assert len(junk) == 50
    assert torch.all(tensor == 7.0)


def test_nested_results_are_converted():
    nest = array_function(lambda x: {"a": [x, (x, 1)], "b": Pair(x, "text")})
    out = nest(np.ones(2))
    assert isinstance(out["a"][0], np.ndarray)
    assert isinstance(out["a"][1][0], np.ndarray)
    assert out["a"][1][1] == 1
    assert isinstance(out["b"], Pair)
    assert isinstance(out["b"].a, np.ndarray)
    assert out["b"].b == "text"


def test_nested_arguments_are_converted():
    total = array_function(lambda parts: sum(parts.values()))
    assert isinstance(total({"a": np.ones(2), "b": np.ones(2)}), np.ndarray)


def test_results_with_gradient_or_conjugate_bit_become_plain_numpy():
    weight = torch.ones(2, requires_grad=True)
    np.testing.assert_array_equal(array_function(lambda x: x * weight)(np.ones(2)), np.ones(2))
    np.testing.assert_array_equal(array_function(torch.conj)(np.array([1j])), np.array([-1j]))


def test_results_without_axes_are_numpy_scalars():
    out = array_function(torch.sum)(np.ones(3, dtype=np.float32))
    assert isinstance(out, np.float32)
    assert f"{out:.1f}" == "3.0"


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([object()]), np.zeros(1, "longdouble")]
)
def test_foreign_dtypes_are_refused_by_name(array):
    with pytest.raises(ParameterError, match=r"dtype .* convert it"):
        identity(array)


def test_name_and_docstring_survive():
    assert identity.__name__ == "identity"
    assert identity.__doc__ == "Return what was given."
