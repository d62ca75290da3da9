"""The short-time Fourier transform and its inverse, by nnAudio's names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from unweave._core.constants import Constant
from unweave._core.fourier import in_blocks
from unweave.compat.nnaudio._audio import announced, as_rows, check_common, exporting, extend
from unweave.compat.nnaudio._basis import (
    Frequencies,
    Original,
    cycles,
    inverse_basis,
    windowed_basis,
)
from unweave.compat.nnaudio._formats import EPSILON, angle, root
from unweave.compat.nnaudio._frames import frames_of, restored
from unweave.compat.nnaudio._spectra import fast_spectra
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features._istft import iSTFT
from unweave.errors import ParameterError
from unweave.transforms._analysis import Analysis, like, single

__all__ = ["STFT", "iSTFT"]

Finish = Callable[[Tensor, Tensor], Tensor]


class STFT(nn.Module):
    """Give the short-time Fourier transform of audio, as `nnAudio.features.STFT` does.

    The basis is held as nnAudio holds it, in `wsin` and `wcos`, to be trained, replaced or loaded.
    As long as it is what it was built as, an FFT does the work; otherwise a convolution.

    Args:
        n_fft: Samples of a frame.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        freq_bins: Number of frequencies; `n_fft // 2 + 1` if not given.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        window: A window by its name in scipy.
        freq_scale: "no" for those of the FFT; "linear", "log" or "log2" from `fmin` to `fmax`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        iSTFT: Whether to hold what `inverse` needs.
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.
        trainable: Whether `wsin` and `wcos` are parameters. Magnitudes are then the root of the
            power plus 1e-8.
        output_format: "Complex" (real and imaginary part along a last axis), "Magnitude", or
            "Phase" in radians.
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = STFT(n_fft=512, iSTFT=True)
        >>> spectrogram = layer(torch.zeros(2, 22050))
        >>> spectrogram.shape, layer.inverse(spectrogram, length=22050).shape
        (torch.Size([2, 257, 173, 2]), torch.Size([2, 22050]))
    """

    wsin: Tensor
    wcos: Tensor
    window_mask: Tensor
    kernel_sin_inv: Tensor
    kernel_cos_inv: Tensor

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        freq_bins: int | None = None,
        hop_length: int | None = None,
        window: WindowName = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        iSTFT: bool = False,
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
        trainable: bool = False,
        output_format: str = "Complex",
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        weights, framing = frames_of(n_fft, win_length, hop_length, window, center)
        self.n_fft, self.stride, self.pad_amount = n_fft, framing.hop_length, n_fft // 2
        self.win_length = n_fft if win_length is None else win_length
        self.window, self.center, self.pad_mode = window, center, pad_mode
        self.trainable, self.iSTFT, self.output_format = trainable, iSTFT, output_format
        self.freq_bins = freq_bins
        rows = n_fft // 2 + 1 if freq_bins is None else freq_bins
        scale: Frequencies = (freq_scale, rows, fmin, fmax, sr)
        bins = cycles(n_fft, rows, freq_scale, fmin, fmax, sr)
        self.bin_list = bins.tolist()
        self.bins2freq = (bins * sr / n_fft).tolist()
        self._analysis = Analysis(framing, pad_mode, Constant(weights))
        self._whole = freq_scale == "no"
        self._transform = fast_spectra(n_fft, *scale)
        self._forward = Original(("wsin", "wcos"), partial(windowed_basis, weights.float(), *scale))
        self._inverse = Original(
            ("kernel_sin_inv", "kernel_cos_inv"), partial(inverse_basis, n_fft, True, *scale)
        )
        with announced("STFT kernels", verbose):
            self._build(weights.float(), scale)

    def _build(self, window: Tensor, scale: Frequencies) -> None:
        if self.iSTFT:
            sines, cosines = inverse_basis(self.n_fft, True, *scale)
            self.register_buffer("kernel_sin_inv", sines)
            self.register_buffer("kernel_cos_inv", cosines)
            self._inverse.trust(self)
        for name, kernels in zip(("wsin", "wcos"), windowed_basis(window, *scale), strict=True):
            if self.trainable:
                self.register_parameter(name, nn.Parameter(kernels))
            else:
                self.register_buffer(name, kernels)
        self.register_buffer("window_mask", window[None, :, None])
        self._forward.trust(self)

    def forward(self, x: Tensor, output_format: str | None = None) -> Tensor:
        """Give the spectrogram of audio.

        Args:
            x: Audio.
            output_format: "Complex", "Magnitude" or "Phase", instead of the layer's own.

        Returns:
            The spectrogram.

        Raises:
            ParameterError: The audio is too short or of another shape, or there is no such format.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, freq_bins, frames), with "Complex" (batch, freq_bins, frames, 2)

        Example:
            >>> STFT(n_fft=256)(torch.zeros(1000), output_format="Magnitude").shape
            torch.Size([1, 129, 16])
        """
        wanted = output_format or self.output_format
        check_common(self.pad_mode, wanted)
        epsilon = EPSILON if self.trainable else 0.0
        finishes: dict[str, Finish | None] = {
            "Complex": None,
            "Magnitude": lambda real, imag: root(real.square() + imag.square(), epsilon),
            "Phase": angle,
        }
        return self.finished(x, finishes[wanted])

    def finished(self, x: Tensor, finish: Finish | None, reads: tuple[Tensor, ...] = ()) -> Tensor:
        """Give what is made of the real and imaginary parts, some frames at a time.

        Args:
            x: Audio.
            finish: Turns the two parts, of shape (rows, some frames, freq_bins), into (rows, some
                frames, k); if None, both are given along a last axis.
            reads: Other tensors that `finish` reads, which may want a gradient.

        Returns:
            What was made, contiguous and with the axes of frequency and time exchanged.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, k, frames), or (batch, k, frames, 2)

        Example:
            >>> STFT(n_fft=256).finished(torch.zeros(1000), lambda real, imag: real).shape
            torch.Size([1, 129, 16])
        """
        rows = single(as_rows(x))
        margin = self.pad_amount if self.center else 0
        count = 1 + (rows.shape[-1] + 2 * margin - self.n_fft) // self.stride
        if exporting() or self._transform is None or not self._forward.holds(self):
            real, imag = self._convolved(rows)
            out = torch.stack((real, imag), -1) if finish is None else finish(real, imag)
        else:
            window, transform = self._analysis.window(rows), self._transform

            def work(frames: Tensor) -> Tensor:
                spectra = transform(frames, window)
                if finish is None:
                    return spectra
                return finish(*torch.view_as_real(spectra).unbind(-1))

            padded, whole = self._analysis.rows(rows)
            out = in_blocks(padded, self._analysis.framing, whole, work, reads)[:, :count]
        out = out.transpose(1, 2).contiguous()
        return like(torch.view_as_real(out) if out.is_complex() else out, x)

    def _convolved(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Give both parts by convolution with whatever the basis is, as nnAudio does."""
        padded = extend(rows, self.pad_amount, self.pad_mode) if self.center else rows
        if padded.shape[-1] < self.n_fft:
            raise ParameterError(
                f"a signal of {rows.shape[-1]} samples has no whole frame of n_fft={self.n_fft}"
            )
        signal = padded[:, None]
        real = conv1d(signal, self.wcos.to(rows), stride=self.stride)
        imag = conv1d(signal, self.wsin.to(rows), stride=self.stride)
        return real.mT, -imag.mT

    def inverse(
        self,
        X: Tensor,
        onesided: bool = True,
        length: int | None = None,
        refresh_win: bool = True,
    ) -> Tensor:
        """Restore audio from a complex spectrogram.

        Args:
            X: Spectrogram in the format "Complex".
            onesided: Whether it has `n_fft // 2 + 1` frequencies, or all `n_fft`.
            length: Samples wanted; by default, up to the centre of the last frame.
            refresh_win: Unused: the overlap of the windows is always that of `X`.

        Returns:
            The audio.

        Raises:
            ParameterError: The layer was built without iSTFT=True, or `X` has another shape.

        Shape:
            X: (batch, freq, frames, 2)
            returns: (batch, length)

        Example:
            >>> layer = STFT(n_fft=256, iSTFT=True)
            >>> layer.inverse(layer(torch.ones(1, 1000)), length=1000).mean()
            tensor(1.)
        """
        if not self.iSTFT:
            raise ParameterError("inverse needs a layer that was built with iSTFT=True")
        kernels = None
        if not (self._whole and self._inverse.holds(self)):
            kernels = self.kernel_sin_inv[:, 0, :, 0], self.kernel_cos_inv[:, 0, :, 0]
        window = self.window_mask.flatten()
        return restored(X, self._analysis.framing, window, kernels, onesided, length)
