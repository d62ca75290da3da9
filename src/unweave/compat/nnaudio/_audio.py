"""Audio as nnAudio takes it, and what its layers say while they are built."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.errors import ParameterError
from unweave.transforms._analysis import check_audio, check_choice

PAD_MODES = ("reflect", "constant")


def as_rows(x: Tensor) -> Tensor:
    """Give audio of any shape that nnAudio takes as a table of one row per clip.

    Args:
        x: Audio of shape (time), (batch, time) or (batch, 1, time).

    Returns:
        The same audio.

    Raises:
        ParameterError: The shape or the dtype is another.

    Shape:
        returns: (batch, time)

    Example:
        >>> as_rows(torch.zeros(100)).shape, as_rows(torch.zeros(2, 1, 100)).shape
        (torch.Size([1, 100]), torch.Size([2, 100]))
    """
    if not isinstance(x, Tensor):
        raise ParameterError(f"x of type {type(x).__name__} must be a torch.Tensor")
    check_audio(x)
    if x.ndim == 1:
        return x[None]
    if x.ndim == 3 and x.shape[1] == 1:
        return x[:, 0]
    if x.ndim != 2:
        raise ParameterError(
            f"x of shape {tuple(x.shape)} must be (time), (batch, time) or (batch, 1, time):"
            " fold channels into the batch, for example with x.flatten(0, 1)"
        )
    return x


def extend(rows: Tensor, amount: int, pad_mode: str) -> Tensor:
    """Continue signals at both ends.

    Args:
        rows: Signals.
        amount: Samples added at either end.
        pad_mode: "reflect" mirrors, "constant" adds silence.

    Returns:
        The longer signals.

    Raises:
        ParameterError: The signals are too short to be mirrored.

    Shape:
        rows: (batch, time)
        returns: (batch, time + 2 * amount)

    Example:
        >>> extend(torch.tensor([[1.0, 2.0, 3.0]]), 2, "reflect")
        tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """
    if pad_mode == "constant":
        return pad(rows, (amount, amount))
    if rows.shape[-1] <= amount:
        raise ParameterError(
            f"a signal of {rows.shape[-1]} samples is too short to be mirrored by {amount} samples:"
            " use pad_mode='constant', higher frequencies, or a longer signal"
        )
    return pad(rows[:, None], (amount, amount), mode="reflect")[:, 0]


def check_common(pad_mode: str, output_format: str) -> None:
    """Raise unless two arguments that most layers have are among nnAudio's choices.

    Args:
        pad_mode: "reflect" or "constant".
        output_format: "Magnitude", "Complex" or "Phase".

    Raises:
        ParameterError: They are not.

    Example:
        >>> check_common("reflect", "Magnitude")
    """
    check_choice("pad_mode", pad_mode, PAD_MODES)
    check_choice("output_format", output_format, ("Magnitude", "Complex", "Phase"))


@contextmanager
def announced(what: str, verbose: bool) -> Iterator[None]:
    """Say how long something took to build, if that is wanted.

    Args:
        what: What is built.
        verbose: Whether to say it.

    Example:
        >>> with announced("STFT kernels", verbose=False):
        ...     kernels = torch.zeros(3)
    """
    start = time.perf_counter()
    yield
    if verbose:
        print(f"{what} created, time used = {time.perf_counter() - start:.4f} seconds")


def exporting() -> bool:
    """Tell whether a graph is made for ONNX, where kernels do better than the FFT.

    Example:
        >>> exporting()
        False
    """
    return bool(torch.onnx.is_in_onnx_export())
