"""The multichannel Wiener filter of sources whose spectrograms are known about.

Each source is locally Gaussian [Duong2010]: in every time-frequency bin its channels have the
covariance v_j R_j, a power spectral density v_j that changes from frame to frame, times a spatial
covariance R_j of its frequency. The best estimate of the source, given the mixture x, is

    y_j = v_j R_j (sum_k v_k R_k)^-1 x.

The parameters are estimated from the sources' estimates themselves, in turns with filtering
[Liutkus2014], [Nugraha2016]:

    v_j = |y_j|^2 / channels,    R_j = sum_t y_j y_j^H / sum_t v_j.

References:
    [Duong2010] N. Q. K. Duong, E. Vincent, R. Gribonval, "Under-determined reverberant audio source
        separation using a full-rank spatial covariance model", IEEE TASLP 18(7), 2010.
    [Liutkus2014] A. Liutkus et al., "Kernel additive models for source separation", IEEE
        Transactions on Signal Processing 62(16), 2014.
    [Nugraha2016] A. A. Nugraha, A. Liutkus, E. Vincent, "Multichannel audio source separation with
        deep neural networks", IEEE/ACM TASLP 24(9), 2016.
    [Uhlich2017] S. Uhlich et al., "Improving music source separation based on deep neural networks
        through data augmentation and network blending", ICASSP 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from unweave._core.arrays import two_array_function
from unweave.filtering._checks import (
    as_items,
    check_eps,
    check_mixture,
    check_models,
    check_n_iter,
)
from unweave.filtering._forms import check_backend, choose
from unweave.filtering._regular import Regularisation, Start


@two_array_function
def wiener(
    v: Tensor,
    x: Tensor,
    *,
    n_iter: int = 1,
    use_softmask: bool = True,
    eps: float | None = None,
    backend: str = "auto",
) -> Tensor:
    """Separate a mixture by the multichannel Wiener filter, given spectrograms of its sources.

    Args:
        v: Models of the sources: non-negative magnitudes (or powers, with `use_softmask`), of every
            channel or of all channels together, of any real dtype.
        x: Complex spectrogram of the mixture, complex64 or complex128.
        n_iter: How often the spatial model is estimated and the mixture filtered; 0 gives the
            initial estimates.
        use_softmask: Whether to start from ratio masks, see `softmask`; otherwise from the models
            with the phase of the mixture, which needs models that are magnitudes and good.
        eps: None keeps the model invertible by as much as the signal's level asks for: results
            scale with the mixture, and their sum is the mixture wherever a model is not zero. A
            number is norbert's absolute regularisation, in units of the power of a mixture that is
            scaled down to a peak of 10 if it exceeds that.
        backend: "compiled" runs kernels that numba compiles, on the threads torch uses, without
            gradients; "torch" is differentiable and runs on any device; "auto" takes the kernels
            where nothing else is needed, numba is there and at least 2**18 values are estimated.
            Compiling takes some ten seconds, once (of two channels, once for each number of
            sources), and is kept on disk.

    Returns:
        Complex spectrograms of the sources in the mixture's dtype; zero where all models are.
        A NaN makes all estimates of its frequency NaN, of one channel those of its bin.

    Raises:
        ParameterError: Shapes or dtypes do not fit, a model is negative, or an option is unknown.
        DependencyError: backend="compiled" without numba.

    Shape:
        v: (..., sources, 1 or channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> import torch
        >>> sources = torch.randn(3, 2, 513, 20, dtype=torch.complex64)
        >>> x = sources.sum(0)
        >>> y = wiener(sources.abs(), x, n_iter=2)
        >>> y.shape, bool((y.sum(0) - x).abs().max() < 1e-5)
        (torch.Size([3, 2, 513, 20]), True)

    References:
        [Nugraha2016] Multichannel audio source separation with deep neural networks, IEEE/ACM TASLP
        24(9).
    """
    return _wiener(v, x, Options(n_iter, use_softmask, eps, backend))


@dataclass(frozen=True)
class Options:
    """What `wiener` and `WienerFilter` have in common; see there."""

    n_iter: int = 1
    use_softmask: bool = True
    eps: float | None = None
    backend: str = "auto"


def _wiener(v: Tensor, x: Tensor, options: Options) -> Tensor:
    check_mixture(x)
    check_models(v, x)
    n_iter, eps = check_n_iter(options.n_iter), check_eps(options.eps)
    vs, xs = as_items(v, 4), as_items(x, 3)
    form = choose(options.backend, vs, xs)
    start = Start(options.use_softmask, (eps or 0.0) if options.use_softmask else 0.0)
    shape = (*v.shape[:-3], *x.shape[-3:])
    if not n_iter or not shape or 0 in shape:
        return form.initial(vs, xs, start).reshape(shape)
    if x.shape[-3] == 1 and eps is None:
        # Of one channel all R_j are the same, and each iteration shares by the power of estimates.
        return form.initial(vs, xs, Start(rounds=n_iter)).reshape(shape)
    scale = None
    if eps is not None:
        scale = (xs.abs().amax((1, 2, 3)).double() / 10).clamp(min=1).square()
    regular = Regularisation(eps, scale)
    model = regular.covariances(form.model_sums(vs, xs, start))
    y = form.model_filter(vs, xs, start, regular.loaded(model), regular.ridge(model))
    for _ in range(n_iter - 1):
        model = regular.covariances(form.estimate_sums(y))
        y, _ = form.estimate_filter(y, xs, regular.loaded(model), regular.ridge(model))
    return y.reshape(shape)


class WienerFilter(nn.Module):
    """Hold the options of a multichannel Wiener filter, for use inside networks.

    It has no parameters; gradients flow from the estimates to the models and the mixture.

    Args:
        n_iter: How often the spatial model is estimated and the mixture filtered.
        use_softmask: Whether to start from ratio masks, or from the phase of the mixture.
        eps: None for a regularisation relative to the signal, or norbert's absolute one.
        backend: "auto", "compiled" or "torch"; see `wiener`.

    Raises:
        ParameterError: An option is out of range.

    Example:
        >>> import torch
        >>> x = torch.randn(2, 65, 8, dtype=torch.complex64)
        >>> masks = torch.rand(4, 2, 65, 8, requires_grad=True)
        >>> WienerFilter()(masks * x.abs(), x).abs().sum().backward()
        >>> masks.grad.shape
        torch.Size([4, 2, 65, 8])
    """

    def __init__(
        self,
        *,
        n_iter: int = 1,
        use_softmask: bool = True,
        eps: float | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_backend(backend)
        self._options = Options(check_n_iter(n_iter), use_softmask, check_eps(eps), backend)

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        """Separate a mixture; see `wiener`.

        Args:
            v: Models of the sources, non-negative.
            x: Complex spectrogram of the mixture.

        Returns:
            Complex spectrograms of the sources.

        Shape:
            v: (..., sources, 1 or channels, freq, frames)
            x: (..., channels, freq, frames)
            returns: (..., sources, channels, freq, frames)

        Example:
            >>> import torch
            >>> x = torch.randn(2, 65, 8, dtype=torch.complex64)
            >>> WienerFilter(n_iter=0)(torch.ones(2, 1, 65, 8), x).shape
            torch.Size([2, 2, 65, 8])
        """
        return _wiener(v, x, self._options)

    def extra_repr(self) -> str:
        """Show the options in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> WienerFilter()
            WienerFilter(n_iter=1, use_softmask=True, eps=None, backend=auto)
        """
        o = self._options
        return f"n_iter={o.n_iter}, use_softmask={o.use_softmask}, eps={o.eps}, backend={o.backend}"
