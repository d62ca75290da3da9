"""Chroma features as layers of models."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave._core.windows import Window
from unweave.transforms._analysis import Analysis, analysis, check_audio, like, single
from unweave.transforms._banklayer import BankLayer
from unweave.transforms._leastsquares import Work
from unweave.transforms.chroma import check_norm, folded, normalised
from unweave.transforms.chromabank import chroma_bank, cq_chroma_bank
from unweave.transforms.constantq_layer import CQT


class ChromaSTFT(BankLayer):
    """Hold the parameters of `chroma_stft`, for use inside models; the weights may be trained.

    Trained weights may take any value but are used as if those below zero were zero.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in classes.
        ctroct: The octave that counts most, in octaves above 27.5 Hz.
        octwidth: Standard deviation, in octaves, of the weights about it; None weighs all alike.
        base_c: Whether the first class is C; otherwise it is A.
        norm: The norm that each frame is brought to; see `chroma_stft`.
        trainable_bins: Whether the weights (`chroma_basis`) are trained.
        trainable_STFT: True trains the windowed cosines and sines of the analysis (`wcos`, `wsin`),
            "window" only the window (`window`), which costs far less.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> ChromaSTFT(sample_rate=16000, n_fft=1024)(torch.zeros(2, 16000)).shape
        torch.Size([2, 12, 63])
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        n_fft: int = 2048,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        n_chroma: int = 12,
        tuning: float = 0.0,
        ctroct: float = 5.0,
        octwidth: float | None = 2.0,
        base_c: bool = True,
        norm: float | None = math.inf,
        trainable_bins: bool = False,
        trainable_STFT: bool | str = False,
    ) -> None:
        super().__init__(
            analysis(n_fft, hop_length, win_length, window, center, pad_mode),
            chroma_bank(sample_rate, n_fft, n_chroma, tuning, ctroct, octwidth, base_c),
            2.0,
            weights="chroma_basis" if trainable_bins else None,
            trainable_STFT=trainable_STFT,
        )
        self.sample_rate, self.n_chroma, self.norm = sample_rate, n_chroma, check_norm(norm)

    def forward(self, x: Tensor) -> Tensor:
        """Give the chroma features of audio; see `chroma_stft`.

        Args:
            x: Real audio.

        Returns:
            The chroma features.

        Shape:
            x: (..., time)
            returns: (..., n_chroma, frames)

        Example:
            >>> ChromaSTFT(sample_rate=8000, n_fft=256)(torch.zeros(1000)).shape
            torch.Size([12, 16])
        """
        check_audio(x)
        return like(normalised(super().forward(single(x)), self.norm), x)

    def framewise(self, x: Tensor) -> tuple[Analysis, Work]:
        """Give what is done to every frame, for audio that arrives in blocks.

        Args:
            x: Audio of the dtype and on the device of all that follows.

        Returns:
            The analysis that makes frames, and what turns frames into chroma features.

        Shape:
            x: (..., time)

        Example:
            >>> plan, work = ChromaSTFT(sample_rate=8000, n_fft=256).framewise(torch.zeros(1))
            >>> work(torch.zeros(1, 3, 256)).shape
            torch.Size([1, 3, 12])
        """
        plan, work = super().framewise(x)
        return plan, lambda frames: normalised(work(frames).mT, self.norm).mT


class ChromaCQT(torch.nn.Module):
    """Hold the parameters of `chroma_cqt`, for use inside models; the filters may be trained.

    Args:
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Frequency of the first bin, in hertz; C1, 32.7 Hz, if not given.
        n_octaves: Number of octaves.
        bins_per_octave: Bins of an octave, a multiple of `n_chroma`.
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in bins.
        base_c: Whether the first class is C; otherwise it is A.
        threshold: Classes below it are set to zero.
        norm: The norm that each frame is brought to; see `chroma_stft`.
        trainable: Whether the filters of the constant-Q transform are trained; see `CQT`.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> ChromaCQT(sample_rate=22050)(torch.zeros(2, 22050)).shape
        torch.Size([2, 12, 44])
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int = 512,
        fmin: float | None = None,
        n_octaves: int = 7,
        bins_per_octave: int = 36,
        n_chroma: int = 12,
        tuning: float = 0.0,
        base_c: bool = True,
        threshold: float = 0.0,
        norm: float | None = math.inf,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
        n_bins = positive_int("n_octaves", n_octaves) * bins_per_octave
        self.cqt = CQT(
            sample_rate=sample_rate,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            output="magnitude",
            trainable=trainable,
        )
        self._bank = cq_chroma_bank(n_bins, bins_per_octave, n_chroma, fmin, base_c)
        self.threshold, self.norm = non_negative("threshold", threshold), check_norm(norm)

    def forward(self, x: Tensor) -> Tensor:
        """Give the chroma features of audio; see `chroma_cqt`.

        Args:
            x: Real audio.

        Returns:
            The chroma features.

        Shape:
            x: (..., time)
            returns: (..., n_chroma, frames)

        Example:
            >>> ChromaCQT(sample_rate=22050, n_octaves=3)(torch.zeros(1000)).shape
            torch.Size([12, 2])
        """
        check_audio(x)
        return like(folded(self.cqt(single(x)), self._bank, self.threshold, self.norm), x)
