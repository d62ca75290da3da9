"""Audio from a constant-Q transform, by the name it has in nnAudio's successor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave._core.fourier import in_blocks
from unweave._core.frames import add_frames
from unweave.compat.nnaudio._audio import announced, check_common, extend
from unweave.compat.nnaudio._frames import BareFrames
from unweave.compat.nnaudio._kernels import Bank, checked_bank, split
from unweave.compat.nnaudio._windows import WindowName
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single

_FRAMES_AT_ONCE = 2**23  # samples of the frames added up at once


class iCQT(nn.Module):
    """Find audio whose constant-Q transform comes nearest to a given one.

    As `nnAudio2.features.iCQT` does for the complex output of `CQT1992v2` with the same arguments,
    but by conjugate gradients [Hestenes1952], which come nearer in the same number of iterations.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins.
        bins_per_octave: Bins of an octave.
        filter_scale: Length of the kernels.
        norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continued the signal at its ends: "reflect" or "constant".
        n_iter: Iterations.
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> from unweave.compat.nnaudio.features.cqt import CQT1992v2
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(8000))
        >>> spec = CQT1992v2(fmin=220, n_bins=48, hop_length=64)(tone, output_format="Complex")
        >>> again = iCQT(fmin=220, n_bins=48, hop_length=64)(spec, length=8000)
        >>> bool((again[0] - tone)[1000:7000].abs().max() < 0.01)
        True

    References:
        [Hestenes1952] Methods of conjugate gradients for solving linear systems, J. Res. NBS 49.
    """

    lengths: Tensor
    cqt_kernels_real: Tensor
    cqt_kernels_imag: Tensor
    alpha: Tensor

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int | None = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float | None = 1,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        n_iter: int = 32,
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, "Complex")
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, norm, window)
        bank = checked_bank(bank, fmax, n_bins)
        self.hop_length = positive_int("hop_length", hop_length)
        self.n_iter = positive_int("n_iter", n_iter)
        self.center, self.pad_mode = center, pad_mode
        self.kernel_width, self.frequencies = bank.width, bank.frequencies
        self.register_buffer("lengths", torch.from_numpy(bank.lengths).float())
        with announced("iCQT kernels", verbose):
            for name, part in zip(("real", "imag"), split(bank.kernels()), strict=True):
                self.register_buffer(f"cqt_kernels_{name}", part[:, None])
            self.register_buffer("alpha", self._step())

    def _step(self) -> Tensor:
        """Give the step that nnAudio's iteration, which is not ours, would take: 1.8 / |A|^2."""
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, 2 * self.kernel_width, generator=generator)
        norm = x.norm()
        groups = self._groups(x)
        for _ in range(6):
            x = self._adjoint(self._analysed(x / norm, groups), x.shape[1], groups)
            norm = x.norm()
        return torch.tensor(1.8 / (1.1 * float(norm)))  # the norm is approached from below

    def forward(self, CQT: Tensor, length: int | None = None) -> Tensor:
        """Find the audio of a constant-Q transform.

        Args:
            CQT: Transform in the format "Complex" with the normalisation "librosa".
            length: Samples of the audio; by default, as few as have so many frames.

        Returns:
            The audio.

        Raises:
            ParameterError: `CQT` is of another shape, or does not fit the length.

        Shape:
            CQT: (batch, n_bins, frames, 2)
            returns: (batch, length)

        Example:
            >>> iCQT(fmin=220, n_bins=48, n_iter=2)(torch.zeros(1, 48, 5, 2)).shape
            torch.Size([1, 2049])
        """
        if CQT.ndim != 4 or CQT.shape[1] != len(self.lengths) or CQT.shape[3] != 2:
            raise ParameterError(
                f"CQT of shape {tuple(CQT.shape)} must be (batch, {len(self.lengths)}, frames, 2)"
            )
        count = CQT.shape[2]
        reach = 0 if self.center else self.kernel_width
        length = (count - 1) * self.hop_length + max(1, reach) if length is None else length
        if count != 1 + (length - reach) // self.hop_length:
            raise ParameterError(
                f"length={length} has {1 + (length - reach) // self.hop_length} frames, but CQT"
                f" has {count}"
            )
        goal = single(CQT)
        groups = self._groups(goal)
        residual = torch.cat((goal[..., 0], goal[..., 1]), 1).mT
        x = goal.new_zeros(len(goal), length)
        gradient = self._adjoint(residual, length, groups)
        direction, steep = gradient, _energy(gradient)
        tiny = torch.finfo(goal.dtype).tiny
        for _ in range(self.n_iter):
            image = self._analysed(direction, groups)
            step = steep / _energy(image).clamp(min=tiny)
            x = x + step * direction
            residual = residual - step[..., None] * image
            gradient = self._adjoint(residual, length, groups)
            flatter = _energy(gradient)
            direction = gradient + flatter / steep.clamp(min=tiny) * direction
            steep = flatter
        return like(x, CQT)

    def _groups(self, reference: Tensor) -> list[tuple[int, Tensor, Tensor]]:
        """Put bins of kernels about equally long together, each with its rows and its kernels.

        The kernels of shape (width, rows) are scaled, and cut where they are zero.
        """
        scale = self.lengths.sqrt()[:, None]
        kernels = torch.stack((self.cqt_kernels_real[:, 0], -self.cqt_kernels_imag[:, 0]))
        kernels = (kernels * scale).to(reference)
        bins, middle = len(self.lengths), self.kernel_width // 2
        place = (torch.arange(self.kernel_width, device=kernels.device) - middle + 0.5).abs()
        support = ((kernels != 0).any(0) * place).amax(1).ceil().clamp(min=1).log2().ceil()
        groups = []
        for half in sorted(set(support.tolist())):
            width = min(2 * 2 ** int(half), self.kernel_width)
            rows = (support == half).nonzero()[:, 0]
            start = middle - width // 2
            part = kernels[:, rows, start : start + width].flatten(0, 1).T.contiguous()
            groups.append((start, torch.cat((rows, rows + bins)), part))
        return groups

    def _analysed(self, x: Tensor, groups: list[tuple[int, Tensor, Tensor]]) -> Tensor:
        """Give the transform of audio, of shape (batch, frames, 2 bins)."""
        if self.center:
            x = extend(x, self.kernel_width // 2, self.pad_mode)
        count = 1 + (x.shape[1] - self.kernel_width) // self.hop_length
        out = x.new_empty(len(x), count, 2 * len(self.lengths))
        for start, rows, kernels in groups:
            framing = BareFrames(len(kernels), self.hop_length)
            out[..., rows] = in_blocks(x[:, start:], framing, count, kernels.__rmatmul__)
        return out

    def _adjoint(
        self, spec: Tensor, length: int, groups: list[tuple[int, Tensor, Tensor]]
    ) -> Tensor:
        """Give the adjoint of the analysis."""
        hop, count, margin = self.hop_length, spec.shape[1], self.kernel_width // 2
        hops = count - (-self.kernel_width // hop)
        out = spec.new_zeros(len(spec), hops * hop + self.kernel_width)
        for start, rows, kernels in groups:
            sums = out[:, start : start + hops * hop].view(len(spec), hops, hop)
            at_once = max(1, _FRAMES_AT_ONCE // (len(kernels) * len(spec)))
            for first in range(0, count, at_once):
                frames = spec[:, first : first + at_once, rows] @ kernels.T
                add_frames(sums[:, first:], frames)
        if not self.center:
            return pad(out, (0, max(0, length - out.shape[1])))[:, :length]
        out = pad(out, (0, max(0, length + 2 * margin - out.shape[1])))
        inside = out[:, margin : margin + length]
        if self.pad_mode == "constant":
            return inside.clone()
        left, right = out[:, :margin].flip(1), out[:, margin + length : length + 2 * margin].flip(1)
        inside = inside + pad(left, (1, length - margin - 1))
        return inside + pad(right, (length - margin - 1, 1))


def _energy(x: Tensor) -> Tensor:
    return x.square().flatten(1).sum(1, keepdim=True)
