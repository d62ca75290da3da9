"""Take a spectrogram apart without training: factorisations of non-negative matrices."""

from unweave.decomposition.clustering import cluster_components
from unweave.decomposition.estimator import NMF
from unweave.decomposition.hpss import HPSS, hpss, hpss_audio
from unweave.decomposition.matching import Match, match_components
from unweave.decomposition.nmf import NMFResult, nmf
from unweave.decomposition.nmfd import nmfd
from unweave.decomposition.nnls import nnls
from unweave.decomposition.repet import Repetition, beat_spectrum, repet, repet_sim
from unweave.decomposition.resynthesis import (
    Resynthesis,
    component_spectrograms,
    resynthesise,
)
from unweave.decomposition.separable import SeparableNMF, separable_nmf
from unweave.decomposition.simplex import simplex_projection

__all__ = [
    "HPSS",
    "NMF",
    "Match",
    "NMFResult",
    "Repetition",
    "Resynthesis",
    "SeparableNMF",
    "beat_spectrum",
    "cluster_components",
    "component_spectrograms",
    "hpss",
    "hpss_audio",
    "match_components",
    "nmf",
    "nmfd",
    "nnls",
    "repet",
    "repet_sim",
    "resynthesise",
    "separable_nmf",
    "simplex_projection",
]
