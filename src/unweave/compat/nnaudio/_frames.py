"""Frames by nnAudio's arguments, and audio restored from the spectra of frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave._core.fourier import synthesise
from unweave._core.frames import Framing, overlap_add
from unweave.compat.nnaudio._windows import WindowName, scipy_window
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single


class BareFrames(Framing):
    """Say where frames lie whose samples are taken as they are, with nothing worked out before.

    Args:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.

    Example:
        >>> BareFrames(8, 2).span(3)
        12
    """

    def __init__(self, n_fft: int, hop_length: int) -> None:
        # What Framing knows of windows and of inversion is of no use here, and takes a while.
        self.n_fft, self.hop_length = n_fft, hop_length
        self.center, self.margin = False, 0


def frames_of(
    n_fft: int, win_length: int | None, hop_length: int | None, window: WindowName, center: bool
) -> tuple[Tensor, Framing]:
    """Check the parameters of frames; give their window, and their places.

    Args:
        n_fft: Samples of a frame.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        hop_length: Samples from one frame to the next; a quarter of the window if not given.
        window: A window by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.

    Returns:
        The window in float64, of shape (n_fft,), and the frames.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> frames_of(512, None, None, "hann", True)[1].hop_length
        128
    """
    n_fft = positive_int("n_fft", n_fft)
    size = n_fft if win_length is None else positive_int("win_length", win_length)
    hop = max(1, size // 4) if hop_length is None else positive_int("hop_length", hop_length)
    if size > n_fft:
        raise ParameterError(f"win_length={size} must not be longer than n_fft={n_fft}")
    before = (n_fft - size) // 2
    weights = torch.from_numpy(scipy_window(window, size))
    weights = pad(weights, (before, n_fft - size - before))
    return weights, Framing(weights, hop, bool(center))


def restored(
    X: Tensor,
    framing: Framing,
    window: Tensor,
    kernels: tuple[Tensor, Tensor] | None,
    onesided: bool,
    length: int | None,
) -> Tensor:
    """Overlap and add the inverse transforms of frames, made by kernels or else by the FFT.

    Args:
        X: Spectrogram in the format "Complex".
        framing: The frames.
        window: Weights of a frame, of shape (n_fft,).
        kernels: Sines and cosines of shape (n_fft, n_fft), or None for an FFT.
        onesided: Whether `X` has `n_fft // 2 + 1` frequencies, or all `n_fft`.
        length: Samples wanted; by default, up to the centre of the last frame.

    Returns:
        The audio, in the dtype of `X`.

    Raises:
        ParameterError: `X` is of another shape.

    Shape:
        X: (batch, freq, frames, 2)
        returns: (batch, length)

    Example:
        >>> window, framing = frames_of(8, None, 2, "hann", True)
        >>> restored(torch.zeros(1, 5, 4, 2), framing, window, None, True, None).shape
        torch.Size([1, 6])
    """
    n_fft = framing.n_fft
    bins = n_fft // 2 + 1 if onesided else n_fft
    if X.ndim != 4 or X.shape[1] != bins or X.shape[3] != 2 or not X.is_floating_point():
        raise ParameterError(
            f"X of shape {tuple(X.shape)} must be a spectrogram (batch, {bins}, frames, 2) in the"
            f" format 'Complex' (onesided={onesided}); magnitudes need Griffin_Lim"
        )
    spec = torch.view_as_complex(single(X).contiguous()).mT
    window = window.to(spec.real)
    start = framing.margin
    stop = framing.span(X.shape[2])
    stop = stop - start if length is None else min(stop, start + length)
    envelope = framing.envelope(X.shape[2], dtype=window.dtype, window=window)[start:stop]
    # Where no window sees a sample it stays as it is, which is near zero.
    envelope = torch.where(envelope > 1e-10, envelope, 1.0)
    if kernels is None:
        samples = synthesise(_one_sided(spec, n_fft, onesided), framing, window, envelope, start)
    else:
        if onesided:
            spec = torch.cat((spec, spec[..., 1 : n_fft - n_fft // 2].flip(-1).conj()), -1)
        sines, cosines = (kernel.T.to(window) for kernel in kernels)
        frames = (spec.real @ cosines - spec.imag @ sines) * (window / n_fft)
        samples = overlap_add(frames, framing.hop_length)[:, start:stop] / envelope
    return like(samples, X)


def _one_sided(spec: Tensor, n_fft: int, onesided: bool) -> Tensor:
    """Give the frequencies up to Nyquist of the spectra of the real parts of frames."""
    if onesided:
        return spec
    # The real part of an inverse transform is that of (X[k] + conj X[-k]) / 2.
    mirrored = spec.flip(-1).roll(1, -1).conj()
    return ((spec + mirrored) / 2)[..., : n_fft // 2 + 1]
