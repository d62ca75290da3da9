"""Masks, and the multichannel Wiener filter: from models of sources to the sources."""

from unweave.filtering.consistency import mixture_consistency
from unweave.filtering.em import expectation_maximization
from unweave.filtering.gaussian import (
    apply_filter,
    get_local_gaussian_model,
    get_mix_model,
    wiener_gain,
)
from unweave.filtering.interference import compress_filter, reduce_interferences
from unweave.filtering.masks import binary_mask, ideal_binary_mask, ideal_ratio_mask
from unweave.filtering.oracle import oracle_wiener
from unweave.filtering.residual import residual_model
from unweave.filtering.smoothing import smooth
from unweave.filtering.softmask import softmask
from unweave.filtering.streaming import OnlineWiener, StreamingWiener
from unweave.filtering.wiener import WienerFilter, wiener

__all__ = [
    "OnlineWiener",
    "StreamingWiener",
    "WienerFilter",
    "apply_filter",
    "binary_mask",
    "compress_filter",
    "expectation_maximization",
    "get_local_gaussian_model",
    "get_mix_model",
    "ideal_binary_mask",
    "ideal_ratio_mask",
    "mixture_consistency",
    "oracle_wiener",
    "reduce_interferences",
    "residual_model",
    "smooth",
    "softmask",
    "wiener",
    "wiener_gain",
]
