"""The functions of norbert's own module: masks, the Wiener filter and its pieces."""

from __future__ import annotations

import operator

from torch import Tensor

from unweave import filtering
from unweave._core.arrays import array_function, two_array_function
from unweave.compat.norbert._axes import (
    as_complex,
    channels_first,
    check_axes,
    sources_first,
    sources_last,
)


@two_array_function
def wiener(
    v: Tensor,
    x: Tensor,
    iterations: int = 1,
    use_softmask: bool = True,
    eps: float | None = None,
) -> Tensor:
    """Separate a mixture by the multichannel Wiener filter, given spectrograms of its sources.

    Args:
        v: Magnitude spectrograms of the sources, of every channel or of all together.
        x: Complex spectrogram of the mixture.
        iterations: Of the EM algorithm; 0 gives the initial estimates.
        use_softmask: Whether to start from ratio masks, or from the models with the phase of the
            mixture.
        eps: norbert's absolute regularisation; None for one that follows the level of the signal.

    Returns:
        Complex spectrograms of the sources.

    Raises:
        ParameterError: Shapes or dtypes do not fit, or a model is negative.

    Shape:
        v: (nb_frames, nb_bins, {1, nb_channels}, nb_sources)
        x: (nb_frames, nb_bins, nb_channels)
        returns: (nb_frames, nb_bins, nb_channels, nb_sources)

    Example:
        >>> import numpy as np
        >>> x = np.ones((10, 513, 2), dtype="complex64")
        >>> wiener(np.ones((10, 513, 1, 4), dtype="float32"), x).shape
        (10, 513, 2, 4)
    """
    y = filtering.wiener(
        sources_first(v, "v"),
        channels_first(x, "x"),
        n_iter=int(operator.index(iterations)),
        use_softmask=bool(use_softmask),
        eps=_number(eps),
    )
    return sources_last(y)


@two_array_function
def expectation_maximization(
    y: Tensor, x: Tensor, iterations: int = 2, verbose: int = 0, eps: float | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Refine estimates of sources by the EM algorithm for the local Gaussian model.

    Args:
        y: Initial estimates of the sources, complex or real.
        x: Complex spectrogram of the mixture.
        iterations: How often the model is estimated and the mixture filtered.
        verbose: Whether to show a progress bar on standard error.
        eps: norbert's absolute regularisation; None for one that follows the level of the signal.

    Returns:
        Refined estimates, power spectral densities and spatial covariances.

    Raises:
        ParameterError: Shapes or dtypes do not fit.

    Shape:
        y: (nb_frames, nb_bins, nb_channels, nb_sources)
        x: (nb_frames, nb_bins, nb_channels)
        returns: (nb_frames, nb_bins, nb_channels, nb_sources), (nb_frames, nb_bins, nb_sources) and
            (nb_bins, nb_channels, nb_channels, nb_sources)

    Example:
        >>> import numpy as np
        >>> y = np.ones((10, 65, 2, 4), dtype="complex64")
        >>> [array.shape for array in expectation_maximization(y, y.sum(-1))]
        [(10, 65, 2, 4), (10, 65, 4), (65, 2, 2, 4)]
    """
    refined, densities, covariances = filtering.expectation_maximization(
        sources_first(as_complex(y), "y"),
        channels_first(as_complex(x), "x"),
        n_iter=int(operator.index(iterations)),
        verbose=bool(verbose),
        eps=_number(eps),
    )
    return sources_last(refined), densities[:, 0].permute(2, 1, 0), covariances.permute(1, 2, 3, 0)


@two_array_function
def softmask(v: Tensor, x: Tensor, logit: float | None = None, eps: float | None = None) -> Tensor:
    """Separate a mixture by ratio masks.

    Args:
        v: Spectrograms of the sources, of every channel or of all together.
        x: Spectrogram of the mixture, complex or magnitudes.
        logit: Threshold between 0 and 1 that masks are pushed away from; None leaves them.
        eps: Added to the sum of the spectrograms; None for nothing.

    Returns:
        Spectrograms of the sources, complex if the mixture is.

    Raises:
        ParameterError: Shapes or dtypes do not fit, or a model is negative.

    Shape:
        v: (nb_frames, nb_bins, {1, nb_channels}, nb_sources), or (..., nb_sources)
        x: (nb_frames, nb_bins, nb_channels), or (...)
        returns: (nb_frames, nb_bins, nb_channels, nb_sources), or (..., nb_sources)

    Example:
        >>> import numpy as np
        >>> softmask(np.array([[[[3.0, 1.0]]]]), np.full((1, 1, 1), 8j))
        array([[[[0.+6.j, 0.+2.j]]]])
    """
    models, mixture = v, as_complex(x)
    if x.ndim != 3 and v.shape[:-1] == x.shape:  # masks know nothing of axes
        models, mixture = v.reshape(-1, 1, 1, v.shape[-1]), mixture.reshape(-1, 1, 1)
    masked = filtering.softmask(
        sources_first(models, "v"),
        channels_first(mixture, "x"),
        logit=_number(logit),
        eps=_number(eps),
    )
    y = sources_last(masked).reshape(*x.shape, v.shape[-1])
    return y if x.is_complex() else y.real


@array_function
def wiener_gain(v_j: Tensor, R_j: Tensor, inv_Cxx: Tensor) -> Tensor:
    """Give the filter that estimates a source from the mixture: v_j R_j Cxx^-1.

    Args:
        v_j: Power spectral density of the source.
        R_j: Spatial covariance of the source.
        inv_Cxx: Inverse covariance of the mixture.

    Returns:
        A matrix for each bin.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        v_j: (nb_frames, nb_bins)
        R_j: (nb_bins, nb_channels, nb_channels)
        inv_Cxx: (nb_frames, nb_bins, nb_channels, nb_channels)
        returns: (nb_frames, nb_bins, nb_channels, nb_channels)

    Example:
        >>> import numpy as np
        >>> wiener_gain(np.full((1, 1), 2.0), 3 * np.ones((1, 1, 1)), np.full((1, 1, 1, 1), 0.1))
        array([[[[0.6]]]])
    """
    check_axes(v_j, "v_j", "nb_frames, nb_bins")
    check_axes(R_j, "R_j", "nb_bins, nb_channels, nb_channels")
    check_axes(inv_Cxx, "inv_Cxx", "nb_frames, nb_bins, nb_channels, nb_channels")
    return filtering.wiener_gain(v_j.mT[None], R_j, inv_Cxx.transpose(0, 1)).transpose(0, 1)


@two_array_function
def apply_filter(x: Tensor, W: Tensor) -> Tensor:
    """Apply a filter to a mixture.

    Args:
        x: Spectrogram, complex or real.
        W: A matrix for each bin.

    Returns:
        The filtered spectrogram, complex.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        x: (nb_frames, nb_bins, nb_channels)
        W: (nb_frames, nb_bins, nb_channels, nb_channels)
        returns: (nb_frames, nb_bins, nb_channels)

    Example:
        >>> import numpy as np
        >>> apply_filter(np.full((1, 1, 1), 2j), np.full((1, 1, 1, 1), 0.5))
        array([[[0.+1.j]]])
    """
    check_axes(W, "W", "nb_frames, nb_bins, nb_channels, nb_channels")
    mixture = channels_first(as_complex(x), "x")
    return filtering.apply_filter(mixture, W.transpose(0, 1)).permute(2, 1, 0)


@two_array_function
def get_mix_model(v: Tensor, R: Tensor) -> Tensor:
    """Give the covariance of the mixture: the sum of v[..., j] R[..., j].

    Args:
        v: Power spectral densities of the sources.
        R: Spatial covariances of the sources.

    Returns:
        A matrix for each bin.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        v: (nb_frames, nb_bins, nb_sources)
        R: (nb_bins, nb_channels, nb_channels, nb_sources)
        returns: (nb_frames, nb_bins, nb_channels, nb_channels)

    Example:
        >>> import numpy as np
        >>> get_mix_model(np.ones((1, 1, 3)), np.ones((1, 1, 1, 3)))
        array([[[[3.]]]])
    """
    check_axes(v, "v", "nb_frames, nb_bins, nb_sources")
    check_axes(R, "R", "nb_bins, nb_channels, nb_channels, nb_sources")
    model = filtering.get_mix_model(v.permute(2, 1, 0)[:, None], R.permute(3, 0, 1, 2))
    return model.transpose(0, 1)


@array_function
def get_local_gaussian_model(y_j: Tensor, eps: float = 1.0) -> tuple[Tensor, Tensor]:
    """Estimate the local Gaussian model of a source from its spectrogram.

    Args:
        y_j: Spectrogram of the source, complex or real.
        eps: Added to the sum of the power over frames that the covariance is divided by.

    Returns:
        The power spectral density and the spatial covariance.

    Raises:
        ParameterError: `y_j` is no spectrogram with channels, or `eps` is negative.

    Shape:
        y_j: (nb_frames, nb_bins, nb_channels)
        returns: (nb_frames, nb_bins) and (nb_bins, nb_channels, nb_channels)

    Example:
        >>> import numpy as np
        >>> get_local_gaussian_model(np.full((3, 1, 1), 1j))
        (array([[1.], [1.], [1.]]), array([[[0.75+0.j]]]))
    """
    v, covariances = filtering.get_local_gaussian_model(
        channels_first(as_complex(y_j), "y_j"), eps=_number(eps)
    )
    return v[0].mT, covariances if y_j.is_complex() else covariances.real


def _number(value: float | None) -> float | None:
    """Take NumPy's numbers, too, such as np.finfo(np.float32).eps."""
    return None if value is None else float(value)
