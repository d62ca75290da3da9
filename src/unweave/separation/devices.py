"""Chooses the device that runs a network."""

import torch

from unweave.errors import ParameterError


def available_devices() -> list[str]:
    """Name the devices that can run a network here, the fastest kind first.

    Returns:
        Names that torch takes, such as "cuda:0", "mps" and "cpu".

    Example:
        >>> available_devices()[-1]
        'cpu'
    """
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str | torch.device) -> torch.device:
    """Turn a name into a device that is there.

    Args:
        name: a torch device, or "auto" for the first of `available_devices`.

    Returns:
        The device.

    Raises:
        ParameterError: there is no such device here.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    kinds = {known.partition(":")[0] for known in available}
    if str(name) not in available and str(name) not in kinds:
        raise ParameterError(
            f"device={str(name)!r} is not available: use auto, {', '.join(available)}"
        )
    return torch.device(name)
