"""Which of two forms of an algorithm runs: plain tensor operations, or blocks written in place.

Blocks that stay in the processor's cache are faster and need less memory, but autograd, the
compiler, vmap and accelerators want the plain form. Tests hold the two forms together.
"""

from __future__ import annotations

import torch
from torch import Tensor


def needs_plain_form(*tensors: Tensor) -> bool:
    """Tell whether work on these tensors must be plain, out-of-place tensor operations.

    Args:
        tensors: All tensors that the work reads.

    Returns:
        Whether something follows the operations (autograd, a compiler, a functorch transform), or
        the tensors are not on the CPU.

    Example:
        >>> needs_plain_form(torch.ones(3)), needs_plain_form(torch.ones(3, requires_grad=True))
        (False, True)
    """
    if torch.compiler.is_compiling() or any(tensor.device.type != "cpu" for tensor in tensors):
        return True
    return is_traced(*tensors)


def is_traced(*tensors: Tensor) -> bool:
    """Tell whether autograd or a functorch transform (vmap, grad, jvp) follows the tensors.

    Args:
        tensors: All tensors that the work reads.

    Returns:
        Whether results must keep a history.

    Example:
        >>> is_traced(torch.ones(3)), torch.func.vmap(lambda x: x * is_traced(x))(torch.ones(2))
        (False, tensor([1., 1.]))
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return True
    return is_transformed()


def is_transformed() -> bool:
    """Tell whether a functorch transform (vmap, grad, jvp) is running.

    Returns:
        Whether tensors may be wrapped, so that they cannot be written into.

    Example:
        >>> is_transformed()
        False
    """
    # torch has no public question for this; the name has been there since torch 2.0.
    return bool(torch._C._are_functorch_transforms_active())
