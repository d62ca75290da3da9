"""Which form of the local Gaussian filter runs: compiled kernels, or plain tensor operations."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from unweave._core.forms import needs_plain_form
from unweave.errors import DependencyError, ParameterError
from unweave.filtering import _plain
from unweave.filtering._regular import Start

BACKENDS = ("auto", "compiled", "torch")
# Values of all estimates from which loading the kernels (half a second, once) is worth its while
_WORTHWHILE = 2**18


class Form(Protocol):
    """The steps of the filter, each of which both forms have."""

    def owned(self, y: Tensor, x: Tensor) -> Tensor: ...
    def initial(self, v: Tensor, x: Tensor, start: Start) -> Tensor: ...
    def model_sums(self, v: Tensor, x: Tensor, start: Start) -> Tensor: ...
    def estimate_sums(self, y: Tensor) -> Tensor: ...
    def model_filter(
        self, v: Tensor, x: Tensor, start: Start, model: Tensor, ridge: Tensor
    ) -> Tensor: ...
    def estimate_filter(
        self, y: Tensor, x: Tensor, model: Tensor, ridge: Tensor
    ) -> tuple[Tensor, Tensor]: ...


def check_backend(backend: str) -> None:
    """Refuse unknown forms.

    Args:
        backend: What the caller gave.

    Raises:
        ParameterError: It is none.
    """
    if backend not in BACKENDS:
        raise ParameterError(f"backend={backend!r} must be one of {', '.join(BACKENDS)}")


def choose(backend: str, sources: Tensor, x: Tensor) -> Form:
    """Choose the form.

    "auto" takes the compiled one on the CPU wherever no gradient, compiler or functorch transform
    follows, numba can be imported and there are at least 2**18 values to estimate; nothing else,
    such as what ran before, decides.

    Args:
        backend: "auto", "compiled" or "torch".
        sources: Models or estimates, (batch, sources, channels or 1, freq, frames).
        x: Mixture, (batch, channels, freq, frames).

    Returns:
        The steps of the filter.

    Raises:
        ParameterError: There is no such form, or the compiled one cannot do this.
        DependencyError: The compiled form is asked for, and numba is missing.
    """
    check_backend(backend)
    if backend == "torch":
        return _plain
    plain = needs_plain_form(sources, x)
    if backend == "compiled":
        if plain:
            raise ParameterError(
                "backend='compiled' gives no gradients and works on the CPU only: use 'auto', or"
                " call it under torch.no_grad() with tensors on the CPU"
            )
    elif plain or sources.shape[1] * x.numel() < _WORTHWHILE:
        return _plain
    if sources.numel() == 0 or x.numel() == 0:
        return _plain
    from unweave.filtering import _compiled

    if _compiled.available():
        return _compiled
    if backend == "auto":
        return _plain
    raise DependencyError(
        "backend='compiled' needs numba: install it with pip install 'unweave[fast]'"
    )
