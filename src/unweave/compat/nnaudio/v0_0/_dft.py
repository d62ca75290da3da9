"""Two layers that nnAudio has given up: the transform with all its frequencies, and its inverse."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave.compat.nnaudio._basis import windowed_basis
from unweave.compat.nnaudio._frames import frames_of
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features.stft import STFT
from unweave.compat.nnaudio.v0_0._settle import settle
from unweave.errors import ParameterError


class DFT(STFT):
    """Give the discrete Fourier transform of frames with all `n_fft` frequencies.

    Args:
        n_fft: Samples of a frame.
        freq_bins: Unused: there are always `n_fft` frequencies.
        hop_length: Samples from one frame to the next.
        window: A window by its name in scipy.
        freq_scale: "no", "linear", "log" or "log2".
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> real, imag = DFT(n_fft=256)(torch.zeros(2, 4096))
        >>> real.shape
        torch.Size([2, 256, 9])
    """

    def __init__(
        self,
        n_fft: int = 2048,
        freq_bins: int | None = None,
        hop_length: int = 512,
        window: WindowName = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
    ) -> None:
        super().__init__(
            n_fft=n_fft,
            freq_bins=n_fft,
            hop_length=hop_length,
            window=window,
            freq_scale=freq_scale,
            center=center,
            pad_mode=pad_mode,
            fmin=fmin,
            fmax=fmax,
            sr=sr,
        )
        settle(self, None)

    # The first nnAudio gave the two parts apart.
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Give the real and the imaginary part of the spectra.

        Args:
            x: Audio.

        Returns:
            Both parts.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_fft, frames) each

        Example:
            >>> DFT(n_fft=256)(torch.zeros(4096))[1].shape
            torch.Size([1, 256, 9])
        """
        real, imag = super().forward(x, "Complex").unbind(-1)
        return real, imag

    def inverse(self, x_real: Tensor, x_imag: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Transform spectra back, weighted by the window once more along their frequencies.

        With window="ones" it is the inverse of each frame.

        Args:
            x_real: Real part.
            x_imag: Imaginary part.

        Returns:
            The real and the imaginary part of the frames.

        Raises:
            ParameterError: The parts are of another shape.

        Shape:
            x_real: (batch, n_fft, frames)
            x_imag: (batch, n_fft, frames)
            returns: (batch, n_fft, frames) each

        Example:
            >>> layer = DFT(n_fft=256, window="ones")
            >>> real, imag = layer.inverse(*layer(torch.ones(4096)))
            >>> real.mean(), imag.abs().max() < 1e-4
            (tensor(1.), tensor(True))
        """
        return _back(x_real, x_imag, self.wsin[:, 0], self.wcos[:, 0])


class iSTFT_complex_2d(nn.Module):
    """Transform the spectra of frames back, without adding them up.

    The window weighs the spectra along their frequencies: with window="ones" it is the inverse of
    each frame.

    Args:
        n_fft: Samples of a frame.
        freq_bins: Unused: there are always `n_fft` frequencies.
        hop_length: Unused, as in nnAudio, like `center` and `pad_mode`.
        window: A window by its name in scipy.
        freq_scale: "no", "linear", "log" or "log2".
        center: Unused.
        pad_mode: Unused.
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = iSTFT_complex_2d(n_fft=256, window="ones")
        >>> real, imag = layer(torch.zeros(2, 256, 9), torch.zeros(2, 256, 9))
        >>> real.shape
        torch.Size([2, 256, 1, 9])
    """

    wsin: Tensor
    wcos: Tensor

    def __init__(
        self,
        n_fft: int = 2048,
        freq_bins: int | None = None,
        hop_length: int = 512,
        window: WindowName = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
    ) -> None:
        super().__init__()
        weights, framing = frames_of(n_fft, None, hop_length, window, center)
        self.stride, self.n_fft = framing.hop_length, n_fft
        self.center, self.pad_mode = center, pad_mode
        bases = windowed_basis(weights.float(), freq_scale, n_fft, fmin, fmax, sr)
        for name, basis in zip(("wsin", "wcos"), bases, strict=True):
            self.register_buffer(name, basis[..., None], persistent=False)

    def forward(self, x_real: Tensor, x_imag: Tensor) -> tuple[Tensor, Tensor]:
        """Give the frames of spectra.

        Args:
            x_real: Real part.
            x_imag: Imaginary part.

        Returns:
            The real and the imaginary part of the frames.

        Raises:
            ParameterError: The parts are of another shape.

        Shape:
            x_real: (batch, n_fft, frames)
            x_imag: (batch, n_fft, frames)
            returns: (batch, n_fft, 1, frames) each

        Example:
            >>> layer = iSTFT_complex_2d(n_fft=256, window="ones")
            >>> len(layer(torch.zeros(1, 256, 3), torch.zeros(1, 256, 3)))
            2
        """
        real, imag = _back(x_real, x_imag, self.wsin[:, 0, :, 0], self.wcos[:, 0, :, 0])
        return real[:, :, None], imag[:, :, None]


def _back(real: Tensor, imag: Tensor, sines: Tensor, cosines: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply spectra by (cos + i sin) / n_fft."""
    n_fft = len(sines)
    if real.shape != imag.shape or real.ndim != 3 or real.shape[1] != n_fft:
        raise ParameterError(
            f"parts of shapes {tuple(real.shape)} and {tuple(imag.shape)} must both be (batch,"
            f" {n_fft}, frames)"
        )
    sines, cosines = sines.to(real), cosines.to(real)
    back = torch.cat((cosines, sines)) @ real, torch.cat((cosines, sines)) @ imag
    (a1, a2), (b1, b2) = (torch.split(part, n_fft, 1) for part in back)
    return (a1 - b2) / n_fft, (a2 + b1) / n_fft
