"""Tensors that never change, in whatever dtype and on whatever device they are needed."""

from __future__ import annotations

import torch
from torch import Tensor


class Constant:
    """Hold exact values once, and give them in the dtype and on the device of other tensors.

    Unlike the buffers of a module it loses no precision when the module becomes float64, is never
    saved, and needs no float64 on devices that have none.

    Args:
        values: What is held, best in float64; must not be changed afterwards.

    Example:
        >>> window = Constant(torch.hann_window(4, dtype=torch.float64))
        >>> window(torch.zeros(1)).dtype
        torch.float32
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self._made: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        """Give the values in the precision and on the device of a tensor.

        Args:
            like: Any floating or complex tensor.

        Returns:
            The values in double precision if `like` has it, otherwise in single; they must not be
            changed.
        """
        double = like.dtype in (torch.float64, torch.complex128)
        if self.values.is_complex():
            key = like.device, torch.complex128 if double else torch.complex64
        else:
            key = like.device, torch.float64 if double else torch.float32
        if key in self._made:
            return self._made[key]
        if torch.compiler.is_compiling():  # a compiler's tensors hold no values to keep
            return self.values.to(*key)
        with torch.inference_mode(False):  # what inference makes, training could not use
            self._made[key] = self.values.to(*key)
        return self._made[key]

    def __deepcopy__(self, memo: object) -> Constant:
        return Constant(self.values)

    def __getstate__(self) -> dict[str, object]:
        return {"values": self.values, "_made": {}}
