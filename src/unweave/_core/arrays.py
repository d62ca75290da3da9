"""Lets every function take NumPy arrays and give NumPy arrays back, without a copy.

The mathematics is written once, for tensors; `array_function` wraps it. The first array among the
arguments decides the kind of the result: NumPy for NumPy, tensors for tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np
import torch
from torch import Tensor

from unweave.errors import ParameterError

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class OneArray(Protocol[P, R_co]):
    """A function of one array: tensors in, its own result out; NumPy in, the same in NumPy."""

    __name__: str

    @overload
    def __call__(self, x: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, x: NumpyArray, /, *args: P.args, **kwargs: P.kwargs) -> Any: ...


class TwoArrays(Protocol[P, R_co]):
    """A function of two arrays of one kind, such as a metric of estimate and reference."""

    __name__: str

    @overload
    def __call__(self, x: Tensor, y: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(
        self, x: NumpyArray, y: NumpyArray, /, *args: P.args, **kwargs: P.kwargs
    ) -> Any: ...


def array_function(function: Callable[Concatenate[Tensor, P], R]) -> OneArray[P, R]:
    """Let a function of tensors also take NumPy arrays and then return NumPy arrays.

    NumPy memory is shared, never copied, unless torch cannot describe it (negative strides, foreign
    byte order). Arrays inside tuples, lists and dictionaries are converted too, on both ways.
    Results that still need a gradient are detached when they become NumPy.

    Args:
        function: Takes a tensor first; must not modify its arguments.

    Returns:
        The function with the same name, signature and docstring.

    Raises:
        ParameterError: When called with an array whose dtype torch does not have.

    Example:
        >>> import numpy as np
        >>> @array_function
        ... def double(x):
        ...     return 2 * x
        >>> double(np.ones(2, dtype="float32"))
        array([2., 2.], dtype=float32)
    """
    return cast("OneArray[P, R]", _wrap(function))


def two_array_function(function: Callable[Concatenate[Tensor, Tensor, P], R]) -> TwoArrays[P, R]:
    """Do what `array_function` does for functions whose first two arguments are arrays.

    Args:
        function: Takes two tensors first; must not modify its arguments.

    Returns:
        The function with the same name, signature and docstring.

    Raises:
        ParameterError: When called with an array whose dtype torch does not have.

    Example:
        >>> import numpy as np
        >>> @two_array_function
        ... def error(estimate, reference):
        ...     return (estimate - reference).square().sum()
        >>> float(error(np.ones(3), np.zeros(3)))
        3.0
    """
    return cast("TwoArrays[P, R]", _wrap(function))


def _wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # compiled code has tensors only; spare it the search
            return function(*args, **kwargs)
        first = _first_array((args, kwargs))
        read_only: set[int] = set()
        args = _convert(args, np.ndarray, lambda array: _shared(array, read_only))
        kwargs = _convert(kwargs, np.ndarray, lambda array: _shared(array, read_only))
        result = function(*args, **kwargs)
        if isinstance(first, np.ndarray):
            return _convert(result, Tensor, lambda tensor: _to_numpy(tensor, read_only))
        return result

    return wrapper


def to_tensor(array: NumpyArray) -> Tensor:
    """Give a tensor over the memory of a NumPy array, writable or not, without a copy.

    A tensor over read-only memory must not be written to; torch has no way of forbidding it.

    Args:
        array: Any array of a dtype that torch has.

    Returns:
        A CPU tensor that shares the array's memory; a copy only where torch cannot describe that
        memory (negative strides, foreign byte order).

    Raises:
        ParameterError: torch has no such dtype.

    Example:
        >>> to_tensor(np.arange(3)[::-1])
        tensor([2, 1, 0])
    """
    return _shared(array, set())


class _Writable:
    """Shows a read-only array as writable, so that torch shares it without a warning."""

    def __init__(self, array: NumpyArray) -> None:
        self.array = array  # keeps the memory alive as long as a view of it
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _shared(array: NumpyArray, read_only: set[int]) -> Tensor:
    native = array
    if not array.dtype.isnative:
        native = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        native = np.ascontiguousarray(native)
    locked = not native.flags.writeable
    if locked:
        native = np.asarray(_Writable(native))
    try:
        tensor = torch.from_numpy(native)
    except TypeError as error:
        raise ParameterError(
            f"an array of dtype {array.dtype} was given, which torch does not have:"
            " convert it, for example with .astype('float32')"
        ) from error
    if locked:
        read_only.add(tensor.untyped_storage().data_ptr())
    return tensor


def _to_numpy(tensor: Tensor, read_only: set[int]) -> Any:
    array = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    if tensor.untyped_storage().data_ptr() in read_only:
        array.flags.writeable = False
    return array[()]  # a NumPy scalar instead of an array without axes


def _first_array(tree: Any) -> Any:
    """Find the first array or tensor in nested arguments, or None."""
    if isinstance(tree, np.ndarray | Tensor):
        return tree
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, tuple | list):
        return next((found for item in tree if (found := _first_array(item)) is not None), None)
    return None


def _convert(tree: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    """Replace every leaf of one kind in nested tuples, lists and dictionaries."""
    if isinstance(tree, kind):
        return convert(tree)
    if isinstance(tree, dict):
        return {key: _convert(value, kind, convert) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_convert(item, kind, convert) for item in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(_convert(item, kind, convert) for item in tree)
    return tree
