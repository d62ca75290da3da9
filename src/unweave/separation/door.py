"""The one-line door: `unweave.separate`."""

from pathlib import Path
from typing import Unpack, overload

import torch
from torch import Tensor, nn

from unweave._core.arrays import NumpyArray
from unweave.audio import read
from unweave.errors import ParameterError
from unweave.models import DEFAULT_MODEL
from unweave.separation.options import OptionKeywords
from unweave.separation.separator import Separator


@overload
def separate(
    audio: Tensor | str | Path,
    sample_rate: int | None = ...,
    *,
    model: nn.Module | str | Path = ...,
    device: str | torch.device = ...,
    **options: Unpack[OptionKeywords],
) -> dict[str, Tensor]: ...
@overload
def separate(
    audio: NumpyArray,
    sample_rate: int | None = ...,
    *,
    model: nn.Module | str | Path = ...,
    device: str | torch.device = ...,
    **options: Unpack[OptionKeywords],
) -> dict[str, NumpyArray]: ...
def separate(
    audio: Tensor | NumpyArray | str | Path,
    sample_rate: int | None = None,
    *,
    model: nn.Module | str | Path = DEFAULT_MODEL,
    device: str | torch.device = "auto",
    **options: Unpack[OptionKeywords],
) -> dict[str, Tensor] | dict[str, NumpyArray]:
    """Take a song apart.

    The stems are held in memory; use `Separator.stream_file` for recordings of many hours, and
    one `Separator` for many songs.

    Args:
        audio: the path of an audio file, or samples.
        sample_rate: of the samples, in hertz; a file knows its own.
        model: a network, the name of a registered model, or the path of a weights file.
        device: "auto" for a GPU if there is one, or any torch device.
        **options: fields of `SeparationOptions`.

    Returns:
        One signal a stem, shaped like the samples, at their sample rate; NumPy for NumPy.

    Raises:
        ParameterError: samples were given without their rate, a path with one, or an option is
            out of range.
        AudioFileError: the file cannot be read.
        WeightsError: the model's weights cannot be used.

    Shape:
        (channels, time) for files; (..., channels, time) or (time,) for samples.

    Example:
        >>> from unweave.models.bandmask import BandMaskNet
        >>> stems = separate(torch.zeros(500), 8000, model=BandMaskNet(widths=(4, 4, 4)))
        >>> stems["vocals"].shape
        torch.Size([500])
    """
    if isinstance(audio, str | Path):
        if sample_rate is not None:
            raise ParameterError(
                f"sample_rate={sample_rate} was given with a file, which has its own: leave it out"
            )
        separator = Separator(model, device=device, **options)
        samples, rate = read(audio)
        return separator.separate(samples, rate)
    if sample_rate is None:
        raise ParameterError("samples were given without sample_rate: say how many make a second")
    return Separator(model, device=device, **options).separate(audio, sample_rate)
