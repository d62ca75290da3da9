"""What the layers of the first nnAudio have in common."""

import torch
from torch import nn


def settle(layer: nn.Module, device: str | torch.device | None) -> None:
    """Leave the buffers of a layer out of checkpoints, and move it where it is wanted.

    Args:
        layer: The layer, changed in place.
        device: Where it is moved, or None.

    Example:
        >>> layer = nn.BatchNorm1d(3)
        >>> settle(layer, "cpu")
        >>> list(layer.state_dict())
        ['weight', 'bias']
    """
    for name, buffer in list(layer.named_buffers(recurse=False)):
        delattr(layer, name)
        layer.register_buffer(name, buffer, persistent=False)
    if device is not None:
        layer.to(device)
