"""norbert's functions by its own names: code written for norbert runs with one import changed.

    import norbert                   ->  import unweave.compat.norbert as norbert
    from norbert import contrib      ->  from unweave.compat.norbert import contrib

Names, arguments, their order and their defaults are those of norbert 0.2.1, `autoscale` of its
development version included, and so are the axes: (nb_frames, nb_bins, nb_channels, nb_sources).
Arrays come back as NumPy arrays, and tensors as tensors. With `eps` given, the numbers are
norbert's in double precision. What is different is meant to be:

- No argument is modified. norbert's `wiener` divides the caller's mixture if it is loud, its
  `expectation_maximization` overwrites the estimates, its later `residual_model` scales the models,
  and its `compress_filter` overwrites the filter.
- `eps=None` keeps the model invertible by a regularisation that follows the level of the signal.
  norbert's is absolute: it takes the more of a signal away the quieter that is, and fails in single
  precision where channels are equal.
- Results have the precision of the mixture; norbert's have double precision wherever a model has,
  and its densities always.
- `softmask(logit=...)` and `compress_filter` work; norbert's raise.
- `residual_model` takes models of one channel for mixtures of several, and models of whole numbers;
  it scales models only where `autoscale=True` asks for it, as norbert's later version, and computes
  the residual from the scaled ones. norbert 0.2.1 always scales and takes the residual of the
  models that are not scaled; its later version refuses one channel.
- `smooth` smooths along frames and bins, never along channels and sources. norbert lets a fourth of
  a spectrogram leak into other channels, and as much into other sources.
- `reduce_interferences` obeys `thresh` and `slope`; norbert's always takes 0.4 and 15.
- The covariances of `get_local_gaussian_model` have the axes that norbert documents; norbert's own
  have one more, of length 1, before them.
- `verbose` shows its bar on standard error, not standard output.
- Whole numbers are smoothed in single precision; norbert rounds the result down to whole numbers.
- Negative models and shapes that do not fit are errors that say so; no frames give no frames.
"""

from unweave.compat.norbert import contrib
from unweave.compat.norbert.contrib import (
    compress_filter,
    reduce_interferences,
    residual_model,
    smooth,
)
from unweave.compat.norbert.filters import (
    apply_filter,
    expectation_maximization,
    get_local_gaussian_model,
    get_mix_model,
    softmask,
    wiener,
    wiener_gain,
)

__all__ = [
    "apply_filter",
    "compress_filter",
    "contrib",
    "expectation_maximization",
    "get_local_gaussian_model",
    "get_mix_model",
    "reduce_interferences",
    "residual_model",
    "smooth",
    "softmask",
    "wiener",
    "wiener_gain",
]
