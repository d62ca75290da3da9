"""The functions of norbert's module `contrib`: residual models, smoothing, harder filters."""

from __future__ import annotations

from torch import Tensor

from unweave import filtering
from unweave._core.arrays import array_function, two_array_function
from unweave.compat.norbert._axes import as_complex, channels_first, sources_first, sources_last
from unweave.errors import ParameterError


@two_array_function
def residual_model(v: Tensor, x: Tensor, alpha: float = 1, autoscale: bool = False) -> Tensor:
    """Append a model of the residual to models of sources, by spectral subtraction.

    Args:
        v: Spectrograms of the sources, of every channel or of all together.
        x: Spectrogram of the mixture, complex or magnitudes.
        alpha: The models' exponent: 1 of magnitudes, 2 of powers.
        autoscale: Whether to scale the models so that they fit the mixture. norbert 0.2.1, which
            has no such argument, always scales.

    Returns:
        The models of every channel and that of the residual behind them.

    Raises:
        ParameterError: Shapes or dtypes do not fit, or a model is negative.

    Shape:
        v: (nb_frames, nb_bins, {1, nb_channels}, nb_sources)
        x: (nb_frames, nb_bins, nb_channels)
        returns: (nb_frames, nb_bins, nb_channels, nb_sources + 1)

    Example:
        >>> import numpy as np
        >>> residual_model(np.array([[[[3.0]]]]), np.full((1, 1, 1), 5j))
        array([[[[3., 2.]]]])
    """
    models, mixture = sources_first(v, "v"), channels_first(as_complex(x), "x")
    appended = filtering.residual_model(
        models, mixture, alpha=float(alpha), autoscale=bool(autoscale)
    )
    return sources_last(appended)


@array_function
def smooth(v: Tensor, width: float = 1, temporal: bool = False) -> Tensor:
    """Smooth spectrograms with a Gaussian along frames and bins.

    Args:
        v: Spectrograms.
        width: Standard deviation of the Gaussian, in frames and bins. It reaches, as norbert's
            does, width * width frames and bins, or 4 * width frames if it is temporal.
        temporal: Whether to smooth along frames only.

    Returns:
        Smoothed spectrograms.

    Raises:
        ParameterError: v has no axes or is complex, or the width is negative.

    Shape:
        v: (nb_frames, nb_bins, ...) or (nb_frames,)
        returns: the same

    Example:
        >>> import numpy as np
        >>> smooth(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), temporal=True).round(2)
        array([0.06, 0.24, 0.4 , 0.24, 0.06])
    """
    if not v.ndim:
        raise ParameterError("v is a single number, but must be (nb_frames, nb_bins, ...)")
    spectra = v[:, None] if v.ndim == 1 else v
    spectra = spectra.movedim((1, 0), (-2, -1))
    width = float(width)
    truncate = 4.0 if temporal else width
    out = filtering.smooth(spectra, width=width, temporal=bool(temporal), truncate=truncate)
    return out.movedim((-2, -1), (1, 0)).reshape(v.shape)


@array_function
def reduce_interferences(v: Tensor, thresh: float = 0.6, slope: float = 15) -> Tensor:
    """Attenuate spectrograms of sources where, in their surroundings, other sources are louder.

    Args:
        v: Spectrograms of the sources, not negative.
        thresh: The share of all sources that halves a spectrogram, between 0 and 1. norbert itself
            always takes 0.4.
        slope: How hard the decision is; norbert itself always takes 15.

    Returns:
        Attenuated spectrograms.

    Raises:
        ParameterError: A parameter is out of range, or v has no sources or is negative.

    Shape:
        v: (nb_frames, nb_bins, ..., nb_sources)
        returns: the same

    Example:
        >>> import numpy as np
        >>> v = np.broadcast_to([0.9, 0.1], (8, 8, 1, 2))
        >>> (reduce_interferences(v) / v)[0, 0, 0].round(3)
        array([0.989, 0.001])
    """
    if v.ndim < 3:
        raise ParameterError(
            f"v of shape {tuple(v.shape)} must be (nb_frames, nb_bins, ..., nb_sources)"
        )
    flat = v.flatten(2, -2) if v.ndim > 3 else v[:, :, None]
    reduced = filtering.reduce_interferences(
        sources_first(flat, "v"), thresh=float(thresh), slope=float(slope)
    )
    return sources_last(reduced).reshape(v.shape)


@array_function
def compress_filter(W: Tensor, thresh: float = 0.6, slope: float = 15) -> Tensor:
    """Make a filter harder, nearer to passing everything or nothing.

    Args:
        W: Filters. The mask of a filter of several channels is its trace.
        thresh: The mask that becomes 1/2, between 0 and 1.
        slope: How hard the decision is.

    Returns:
        Hardened filters.

    Raises:
        ParameterError: A parameter is out of range, or the matrices are not square.

    Shape:
        W: (..., nb_channels, nb_channels)
        returns: the same

    Example:
        >>> import numpy as np
        >>> compress_filter(np.diag([0.9, 0.0])).round(3)
        array([[0.989, 0.   ],
               [0.   , 0.   ]])
    """
    return filtering.compress_filter(W, thresh=float(thresh), slope=float(slope), gain="trace")
