"""Take a spectrogram apart without training: factorisations of non-negative matrices."""

from unweave.decomposition.hpss import HPSS, hpss, hpss_audio
from unweave.decomposition.matching import Match, match_components
from unweave.decomposition.nmf import NMFResult, nmf
from unweave.decomposition.nnls import nnls
from unweave.decomposition.separable import SeparableNMF, separable_nmf
from unweave.decomposition.simplex import simplex_projection

__all__ = [
    "HPSS",
    "Match",
    "NMFResult",
    "SeparableNMF",
    "hpss",
    "hpss_audio",
    "match_components",
    "nmf",
    "nnls",
    "separable_nmf",
    "simplex_projection",
]
