"""Take a spectrogram apart without training: factorisations of non-negative matrices."""

from unweave.decomposition.matching import Match, match_components

__all__ = [
    "Match",
    "match_components",
]
