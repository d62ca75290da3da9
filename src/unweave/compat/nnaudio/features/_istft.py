"""The inverse short-time Fourier transform, by nnAudio's name."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave.compat.nnaudio._audio import announced
from unweave.compat.nnaudio._basis import Original, inverse_basis
from unweave.compat.nnaudio._frames import frames_of, restored
from unweave.compat.nnaudio._windows import WindowName, scipy_window


class iSTFT(nn.Module):
    """Restore audio from a complex spectrogram, as `nnAudio.features.iSTFT` does.

    The basis and the window may be trained. With a freq_scale other than "no" this is no inverse,
    neither here nor in nnAudio.

    Args:
        n_fft: Samples of a frame.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        freq_bins: Unused: the basis always has `n_fft` rows.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        window: The window of the analysis, by its name in scipy.
        freq_scale: "no", "linear", "log" or "log2".
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.
        trainable_kernels: Whether `kernel_sin` and `kernel_cos` are parameters.
        trainable_window: Whether `window_mask` is a parameter.
        verbose: Whether to print how long the kernels took.
        refresh_win: Unused: the overlap of the windows is always that of the input.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> from unweave.compat.nnaudio.features.stft import STFT
        >>> spectrogram = STFT(n_fft=256)(torch.ones(1, 1000))
        >>> iSTFT(n_fft=256)(spectrogram, onesided=True, length=1000).mean()
        tensor(1.)
    """

    kernel_sin: Tensor
    kernel_cos: Tensor
    window_mask: Tensor

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        freq_bins: int | None = None,
        hop_length: int | None = None,
        window: WindowName = "hann",
        freq_scale: str = "no",
        center: bool = True,
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
        trainable_kernels: bool = False,
        trainable_window: bool = False,
        verbose: bool = False,
        refresh_win: bool = True,
    ) -> None:
        super().__init__()
        _, self._framing = frames_of(n_fft, win_length, hop_length, window, center)
        self.n_fft, self.stride, self.pad_amount = n_fft, self._framing.hop_length, n_fft // 2
        self.win_length = n_fft if win_length is None else win_length
        self.center, self.refresh_win = center, refresh_win
        build = partial(inverse_basis, n_fft, False, freq_scale, n_fft, fmin, fmax, sr)
        self._by_fft = freq_scale == "no"
        self._kernels = Original(("kernel_sin", "kernel_cos"), build)
        with announced("iSTFT kernels", verbose):
            for name, kernels in zip(("kernel_sin", "kernel_cos"), build(), strict=True):
                if trainable_kernels:
                    self.register_parameter(name, nn.Parameter(kernels))
                else:
                    self.register_buffer(name, kernels)
        self._kernels.trust(self)
        mask = torch.from_numpy(scipy_window(window, self.win_length)).float()[None, :, None]
        if trainable_window:
            self.register_parameter("window_mask", nn.Parameter(mask))
        else:
            self.register_buffer("window_mask", mask)

    def forward(
        self,
        X: Tensor,
        onesided: bool = False,
        length: int | None = None,
        refresh_win: bool | None = None,
    ) -> Tensor:
        """Restore audio from a complex spectrogram.

        Args:
            X: Spectrogram in the format "Complex".
            onesided: Whether it has `n_fft // 2 + 1` frequencies, or all `n_fft`.
            length: Samples wanted; by default, up to the centre of the last frame.
            refresh_win: Unused: the overlap of the windows is always that of `X`.

        Returns:
            The audio, in the dtype of `X`.

        Raises:
            ParameterError: `X` has another shape.

        Shape:
            X: (batch, freq, frames, 2)
            returns: (batch, length)

        Example:
            >>> iSTFT(n_fft=256)(torch.zeros(1, 256, 5, 2)).shape
            torch.Size([1, 256])
        """
        kernels = None
        if not (self._by_fft and self._kernels.holds(self)):
            kernels = self.kernel_sin[:, 0, :, 0], self.kernel_cos[:, 0, :, 0]
        before = (self.n_fft - self.win_length) // 2
        window = pad(self.window_mask.flatten(), (before, self.n_fft - self.win_length - before))
        return restored(X, self._framing, window, kernels, onesided, length)
