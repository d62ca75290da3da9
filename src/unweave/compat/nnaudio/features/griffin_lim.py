"""Audio from magnitudes, by nnAudio's name."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unweave.compat.nnaudio._frames import frames_of
from unweave.compat.nnaudio._windows import WindowName, scipy_window
from unweave.errors import ParameterError
from unweave.transforms.griffinlim import griffinlim


class Griffin_Lim(nn.Module):
    """Find audio for magnitudes, as `nnAudio.features.Griffin_Lim` does.

    The initial phases are drawn as nnAudio draws them: `torch.manual_seed` gives the same ones.

    Args:
        n_fft: Samples of a frame.
        n_iter: Iterations.
        hop_length: Samples from one frame to the next; a quarter of `n_fft` if not given.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        window: A window by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continued the signal at its ends: "reflect" or "constant".
        momentum: How far each iteration goes beyond its result; 0 is the original algorithm.
        device: Where the window is put at first; it moves with the layer.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> Griffin_Lim(256, n_iter=4)(torch.ones(2, 129, 20)).shape
        torch.Size([2, 1216])

    References:
        [Perraudin2013] A fast Griffin-Lim algorithm, WASPAA.
    """

    w: Tensor

    def __init__(
        self,
        n_fft: int,
        n_iter: int = 32,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        momentum: float = 0.99,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__()
        hop = max(1, n_fft // 4) if hop_length is None else hop_length
        _, framing = frames_of(n_fft, win_length, hop, window, center)
        self.n_fft, self.n_iter, self.hop_length = n_fft, n_iter, framing.hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.center, self.pad_mode, self.momentum = center, pad_mode, momentum
        self.device = device
        samples = torch.from_numpy(scipy_window(window, self.win_length)).float()
        self.register_buffer("w", samples.to(device), persistent=False)

    def forward(self, S: Tensor) -> Tensor:
        """Find audio whose spectrogram has nearly the given magnitudes.

        Args:
            S: Magnitudes.

        Returns:
            The audio, up to the centre of the last frame.

        Raises:
            ParameterError: `S` is of another shape.

        Shape:
            S: (batch, n_fft // 2 + 1, frames)
            returns: (batch, time)

        Example:
            >>> Griffin_Lim(256, n_iter=4)(torch.ones(1, 129, 20)).shape
            torch.Size([1, 1216])
        """
        if S.ndim != 3:
            raise ParameterError(f"S of shape {tuple(S.shape)} must be (batch, freq, frames)")
        turns = torch.randn(S.shape, device=S.device, dtype=S.dtype)
        return griffinlim(
            S,
            n_iter=self.n_iter,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            window=self.w.to(S),
            win_length=self.win_length,
            center=self.center,
            pad_mode=self.pad_mode,
            momentum=self.momentum,
            phase=2 * math.pi * turns,
        )
