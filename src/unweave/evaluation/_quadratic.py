"""Energies of windows from correlations: no window need be filtered.

The energy of sum_a x_a * s_a, filters x on signals s, is a quadratic form in the filters whose
coefficients are the correlations r of the signals:

    sum_ab sum_l q_ab(l) r_ab(l)
    q_ab(l) = sum_t x_a[t + l] x_b[t],   r_ab(l) = sum_t s_a[t] s_b[t + l]

Since q_ab(-l) = q_ba(l), and likewise r, the negative lags only double the positive ones. With the
filters fixed for the whole track, energies of all windows are one product of two matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.evaluation._decomposition import Energies
from unweave.evaluation._distortion import Filters

_CANCELLED = 1e-8  # of the terms: of 16 digits, 7 or so are left


class QuadraticForms:
    """What correlations of windows are weighted with.

    Args:
        filters: The distortion filters of the whole signals.
    """

    def __init__(self, filters: Filters) -> None:
        self.sources, self.channels, self.taps, _ = filters.own.shape
        rows = self.sources * self.channels
        own = filters.full.new_zeros(self.sources, self.channels, self.taps, rows)
        for source, part in enumerate(filters.own):
            own[source, :, :, source * self.channels : (source + 1) * self.channels] = part
        own = own.flatten(0, 1)
        unchanged = torch.zeros_like(own)
        unchanged[:, 0] = torch.eye(rows, dtype=own.dtype, device=own.device)
        squares = own, own - unchanged, filters.full, filters.full - own, filters.full
        among = torch.stack([self._squares(x) for x in squares])  # (5, sources, rows, rows, taps)
        weights = pad(among, (0, 0, 0, rows))
        for row in range(rows):  # <e, P s>
            weights[-1, row // self.channels, :, rows + row] = -2 * filters.full[:, :, row]
        self.sizes = weights.norm(dim=-1)
        self.weights = weights.flatten(2)

    def energies(self, lags: Tensor, energy: Tensor) -> tuple[Energies, Tensor]:
        """Measure windows.

        Args:
            lags: Correlations inside of windows, (windows, rows, 2 * rows, taps).
            energy: Of the channels of the estimates, (windows, rows).

        Returns:
            The energies, and which windows have none to be trusted, since terms cancel.
        """
        rows = self.sources * self.channels
        zero = lags[..., 0]
        true = zero[..., :rows].diagonal(dim1=1, dim2=2)
        crossed = zero[..., rows:].diagonal(dim1=1, dim2=2)
        parts = (self.weights.flatten(0, 1) @ lags.flatten(1).T).view(5, self.sources, -1)
        size = torch.cat((true, energy), -1).sqrt()
        products = (size[:, :rows, None] * size[:, None]).flatten(1)
        terms = (self.sizes.flatten(0, 1).flatten(1) @ products.T).view_as(parts)
        whole, error = self._summed(energy), self._summed(energy - 2 * crossed + true)
        parts[-1] += whole
        terms[-1] += whole
        wrong = (parts < _CANCELLED * terms).flatten(0, 1).any(0)
        wrong |= (error < _CANCELLED * whole).any(0)
        image, spatial, projected, interference, artifacts = parts
        true = self._summed(true)
        return Energies(true, error, image, spatial, projected, interference, artifacts), wrong

    def _squares(self, filters: Tensor) -> Tensor:
        """Give the form of filtered sources; filters are (rows, taps, rows), from and to."""
        size = 1 << (2 * self.taps - 1).bit_length()
        spectra = torch.fft.rfft(filters, size, dim=1).permute(2, 1, 0)  # (to, freq, from)
        spectra = torch.unflatten(spectra, 0, (self.sources, self.channels))
        pairs = torch.einsum("scfa,scfb->sabf", spectra, spectra.conj())
        form: Tensor = torch.fft.irfft(pairs, size)[..., : self.taps]
        form[..., 1:] *= 2
        return form

    def _summed(self, channels: Tensor) -> Tensor:
        """Sum over the channels of each source: (windows, rows) to (sources, windows)."""
        return torch.unflatten(channels, -1, (self.sources, self.channels)).sum(-1).T
