"""Take a spectrogram apart without training: factorisations of non-negative matrices."""

from unweave.decomposition.matching import Match, match_components
from unweave.decomposition.nnls import nnls
from unweave.decomposition.separable import SeparableNMF, separable_nmf
from unweave.decomposition.simplex import simplex_projection

__all__ = [
    "Match",
    "SeparableNMF",
    "match_components",
    "nnls",
    "separable_nmf",
    "simplex_projection",
]
