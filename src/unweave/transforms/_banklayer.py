"""The Module behind all spectrograms in bands: what may be trained, and how it is run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave._core.fourier import Finish, rfft
from unweave.errors import ParameterError
from unweave.transforms._analysis import (
    Analysis,
    check_audio,
    check_choice,
    like,
    magnitude,
    power,
    single,
)
from unweave.transforms._bank import (
    Bank,
    bank_spectrogram,
    energies,
    non_negative_weights,
    product,
)
from unweave.transforms._leastsquares import Work
from unweave.transforms._scale import scale
from unweave.transforms._trainedbasis import TrainedBasis, analysis_basis


class BankLayer(nn.Module):
    """Sum the energies of short-time spectra in bands.

    Args:
        plan: The short-time analysis.
        bank: The filter bank.
        exponent: Of the magnitudes, before they are summed.
        weights: Name of the parameter that holds trained weights; None if they are not trained.
        trainable_STFT: True trains the windowed cosines and sines of the analysis (`wcos`, `wsin`),
            "window" only the window (`window`), at the cost of a fixed analysis.

    Raises:
        ParameterError: `trainable_STFT` is something else, or the window already is a parameter.

    Example:
        >>> from unweave.transforms._analysis import analysis
        >>> plan = analysis(4, 2, None, "ones", True, "constant")
        >>> BankLayer(plan, Bank(torch.ones(1, 3)), 2.0)(torch.ones(4)).shape
        torch.Size([1, 3])
    """

    window: nn.Parameter
    wcos: nn.Parameter
    wsin: nn.Parameter

    def __init__(
        self,
        plan: Analysis,
        bank: Bank,
        exponent: float,
        *,
        weights: str | None = None,
        trainable_STFT: bool | str = False,
    ) -> None:
        super().__init__()
        if isinstance(trainable_STFT, str):
            check_choice("trainable_STFT", trainable_STFT, ("window",))
        if plan.window.values.requires_grad:
            raise ParameterError(
                "window is a parameter: give its values (.detach()) and trainable_STFT='window'"
            )
        self._plan, self._bank, self._weights = plan, bank, weights
        self.n_fft, self.hop_length = plan.framing.n_fft, plan.framing.hop_length
        self.center, self.pad_mode, self.power = plan.framing.center, plan.pad_mode, exponent
        dtype = torch.get_default_dtype()
        if weights is not None:
            setattr(self, weights, nn.Parameter(bank.copy().to(dtype)))
        if trainable_STFT == "window":
            self.window = nn.Parameter(plan.window.values.to(dtype, copy=True))
        elif trainable_STFT:
            for name, rows in zip(("wcos", "wsin"), _rows(plan), strict=True):
                setattr(self, name, nn.Parameter(rows.to(dtype)))
        self.trainable_STFT = trainable_STFT or False

    @property
    def filter_bank(self) -> Tensor:
        """The weights that are used, of shape (bands, bins): never negative."""
        weights = self._trained_weights()
        return self._bank.copy() if weights is None else weights

    def _trained_weights(self) -> Tensor | None:
        if self._weights is None:
            return None
        trained: Tensor = getattr(self, self._weights)
        return non_negative_weights(trained)

    def forward(self, x: Tensor) -> Tensor:
        """Give the energies of audio in the bands.

        Args:
            x: Audio.

        Returns:
            Energies.

        Shape:
            x: (..., time)
            returns: (..., bands, frames)
        """
        check_audio(x)
        if self._trained_weights() is None and not self.trainable_STFT:
            return like(bank_spectrogram(x, self._plan, self._bank, self.power), x)
        reads, in_bands, work = self._work(single(x))
        basis = self._basis(single(x).dtype) if self.trainable_STFT is True else None
        if basis is not None and basis.slides(single(x), self._plan.framing):
            rows, count = self._plan.rows(single(x))
            out = in_bands(basis.slid(rows, self._plan.framing, count, self._energies()))
            return like(out.reshape(*x.shape[:-1], *out.shape[1:]).mT, x)
        return like(self._plan.frames(x, work, reads), x)

    def framewise(self, x: Tensor) -> tuple[Analysis, Work]:
        """Give what is done to every frame, for audio that arrives in blocks.

        Args:
            x: Audio of the dtype and on the device of all that follows.

        Returns:
            The analysis that makes frames, and what turns frames into energies in the bands.

        Shape:
            x: (..., time)
        """
        check_audio(x)
        return self._plan, self._work(single(x))[2]

    def _work(self, x: Tensor) -> tuple[tuple[Tensor, ...], Work, Work]:
        """Give what is read, what turns energies into those of the bands, and frames into them."""
        weights = self._trained_weights()
        weights = None if weights is None else weights.to(x.dtype)
        trained = self.trainable_STFT == "window"
        window = self.window.to(x.dtype) if trained else self._plan.window(x)
        basis = self._basis(x.dtype) if self.trainable_STFT is True else None

        def in_bands(found: Tensor) -> Tensor:
            return self._bank(found) if weights is None else product(found, weights.T)

        def work(frames: Tensor) -> Tensor:
            weighted = rfft(frames * window) if basis is None else basis.spectra(frames, window)
            return in_bands(energies(weighted, self.power))

        reads = (window,) if basis is None else basis.reads
        return (reads if weights is None else (*reads, weights)), in_bands, work

    def _energies(self) -> Finish:
        known: dict[float, Finish] = {1.0: magnitude, 2.0: power}
        return known.get(self.power, lambda spectra: energies(spectra, self.power))

    def _basis(self, dtype: torch.dtype) -> TrainedBasis:
        wcos, wsin = self.wcos.to(dtype), self.wsin.to(dtype)
        return TrainedBasis(wcos, wsin, wcos.new_ones(1))  # widths matter to inverses alone


def _rows(plan: Analysis) -> tuple[Tensor, Tensor]:
    """Give the windowed cosines and sines of all bins, (n_fft // 2 + 1, n_fft), in float64."""
    cosines, sines = analysis_basis(scale(plan.framing.n_fft, "no", None, None, None, None))
    window = plan.window.values.to(cosines)
    return cosines * window, sines * window
