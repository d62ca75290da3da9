"""The multichannel Wiener filter for signals that do not fit into memory, or have not ended."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray, to_tensor, two_array_function
from unweave.errors import ParameterError
from unweave.filtering import _plain
from unweave.filtering._checks import as_items, check_eps, check_mixture, check_models, check_range
from unweave.filtering._forms import check_backend, choose
from unweave.filtering._regular import Regularisation, Start

_FRAMES = 32  # of a stream that are worked on at once


class StreamingWiener:
    """Separate a long mixture piece by piece, in memory that does not grow with its length.

    All pieces are seen twice, in any order: `accumulate` each, then `apply` to each. What `apply`
    gives is what `wiener` gives for the whole. For n iterations, accumulate all pieces n times and
    call `advance` between the rounds.

    Args:
        use_softmask: Whether to start from ratio masks, or from the phase of the mixture.
        eps: None for a regularisation relative to the signal, or norbert's absolute one; see
            `wiener`.
        backend: "auto", "compiled" or "torch"; see `wiener`.

    Raises:
        ParameterError: An option is out of range.

    Example:
        >>> x = torch.randn(2, 65, 100, dtype=torch.complex64)
        >>> v = torch.rand(4, 2, 65, 100)
        >>> stream = StreamingWiener()
        >>> for at in (slice(0, 60), slice(60, 100)):
        ...     stream.accumulate(v[..., at], x[..., at])
        >>> stream.apply(v[..., :10], x[..., :10]).shape
        torch.Size([4, 2, 65, 10])
    """

    def __init__(
        self, *, use_softmask: bool = True, eps: float | None = None, backend: str = "auto"
    ) -> None:
        check_backend(backend)
        self.eps, self.backend = check_eps(eps), backend
        self._start = Start(use_softmask, (self.eps or 0.0) if use_softmask else 0.0)
        self._sums: Tensor | None = None
        self._peak: Tensor | None = None
        self._models: list[tuple[Tensor, Tensor]] = []

    def accumulate(self, v: Tensor | NumpyArray, x: Tensor | NumpyArray) -> None:
        """Learn the spatial model from a piece.

        Args:
            v: Models of the sources, non-negative.
            x: Complex spectrogram of the mixture.

        Raises:
            ParameterError: Shapes or dtypes do not fit each other or the pieces before, or a model
                is negative.

        Shape:
            v: (..., sources, 1 or channels, freq, frames)
            x: (..., channels, freq, frames)

        Example:
            >>> x = torch.ones(1, 5, 10, dtype=torch.complex64)
            >>> StreamingWiener().accumulate(torch.ones(2, 1, 5, 10), x)
        """
        pair = [t if isinstance(t, Tensor) else to_tensor(t) for t in (v, x)]
        with torch.no_grad():
            vs, xs = self._flat(*pair)
            form = choose(self.backend, vs, xs)
            if self._models:
                sums = form.estimate_sums(self._estimates(vs, xs))
            else:
                sums = form.model_sums(vs, xs, self._start)
                self._remember_peak(xs)
            if self._sums is not None and self._sums.shape != sums.shape:
                raise ParameterError(
                    f"this piece has covariances of shape {tuple(sums.shape)}, the pieces before"
                    f" {tuple(self._sums.shape)} (batch, sources, freq, channels, channels):"
                    " all must have the same"
                )
            self._sums = sums if self._sums is None else self._sums + sums

    def advance(self) -> None:
        """End a round: the next `accumulate` begins another iteration.

        Raises:
            ParameterError: Nothing was accumulated since the last round.

        Example:
            >>> x = torch.ones(1, 5, 10, dtype=torch.complex64)
            >>> stream = StreamingWiener()
            >>> stream.accumulate(torch.ones(2, 1, 5, 10), x)
            >>> stream.advance()
        """
        if self._sums is None:
            raise ParameterError("nothing was accumulated: call accumulate(v, x) for all pieces")
        scale = None
        if self.eps is not None and self._peak is not None:
            scale = (self._peak.double() / 10).clamp(min=1).square()
        regular = Regularisation(self.eps, scale)
        model = regular.covariances(self._sums)
        self._models.append((regular.loaded(model), regular.ridge(model)))
        self._sums = None

    def apply(self, v: Tensor | NumpyArray, x: Tensor | NumpyArray) -> Tensor:
        """Separate a piece; ends the round if `advance` did not.

        Args:
            v: Models of the sources, as they were accumulated.
            x: Complex spectrogram of the mixture, as it was accumulated.

        Returns:
            Complex spectrograms of the sources, NumPy for NumPy.

        Raises:
            ParameterError: Nothing was accumulated, or shapes or dtypes do not fit.

        Shape:
            v: (..., sources, 1 or channels, freq, frames)
            x: (..., channels, freq, frames)
            returns: (..., sources, channels, freq, frames)

        Example:
            >>> x = torch.ones(1, 5, 10, dtype=torch.complex64)
            >>> stream = StreamingWiener()
            >>> stream.accumulate(torch.ones(2, 1, 5, 10), x)
            >>> stream.apply(torch.ones(2, 1, 5, 10), x).real.mean()
            tensor(0.5000)
        """
        if self._sums is not None or not self._models:
            self.advance()

        @two_array_function
        def separated(v: Tensor, x: Tensor) -> Tensor:
            with torch.no_grad():
                y = self._estimates(*self._flat(v, x))
                return y.reshape(*v.shape[:-3], *x.shape[-3:])

        return separated(v, x)  # type: ignore[arg-type]

    def _flat(self, v: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        check_mixture(x)
        check_models(v, x)
        return as_items(v, 4), as_items(x, 3)

    def _estimates(self, v: Tensor, x: Tensor) -> Tensor:
        expected = (*v.shape[:2], x.shape[2], x.shape[1], x.shape[1])
        if self._models[0][0].shape != expected:
            raise ParameterError(
                f"v of shape {tuple(v.shape)} and x of shape {tuple(x.shape)} (batch first) do not"
                f" fit the accumulated covariances {tuple(self._models[0][0].shape)} (batch,"
                " sources, freq, channels, channels)"
            )
        form = choose(self.backend, v, x)
        y = form.model_filter(v, x, self._start, *self._models[0])
        for model in self._models[1:]:
            y, _ = form.estimate_filter(y, x, *model)
        return y

    def _remember_peak(self, x: Tensor) -> None:
        if self.eps is None or not x.shape[-1]:
            return
        peak = x.abs().amax((1, 2, 3))
        self._peak = peak if self._peak is None else torch.maximum(peak, self._peak)


class OnlineWiener:
    """Separate a mixture while it arrives: each frame as soon as it is there.

    The spatial model is an average over the past, in which a frame counts `forgetting` times as
    much as the next one; it follows sources that move.

    Args:
        forgetting: Weight of a frame relative to the next, between 0 and 1; the average spans about
            1 / (1 - forgetting) frames.
        use_softmask: Whether to start from ratio masks, or from the phase of the mixture.

    Raises:
        ParameterError: `forgetting` is out of range.

    Example:
        >>> online = OnlineWiener(forgetting=0.99)
        >>> for _ in range(3):  # frame after frame
        ...     x = torch.randn(2, 65, 1, dtype=torch.complex64)
        ...     y = online.process(torch.rand(4, 2, 65, 1), x)
        >>> y.shape, bool((y.sum(0) - x).abs().max() < 1e-5)
        (torch.Size([4, 2, 65, 1]), True)
    """

    def __init__(self, *, forgetting: float = 0.99, use_softmask: bool = True) -> None:
        self.forgetting = check_range("forgetting", forgetting, 0.0, 1.0)
        self._start = Start(use_softmask)
        self._sums: Tensor | None = None

    def reset(self) -> None:
        """Forget everything, before another signal.

        Example:
            >>> OnlineWiener().reset()
        """
        self._sums = None

    def process(self, v: Tensor | NumpyArray, x: Tensor | NumpyArray) -> Tensor:
        """Separate the next frames, one or more; how they are grouped makes no difference.

        Args:
            v: Models of the sources, non-negative.
            x: Complex spectrogram of the mixture.

        Returns:
            Complex spectrograms of the sources, NumPy for NumPy.

        Raises:
            ParameterError: Shapes or dtypes do not fit each other or the frames before, or a model
                is negative.

        Shape:
            v: (..., sources, 1 or channels, freq, frames)
            x: (..., channels, freq, frames)
            returns: (..., sources, channels, freq, frames)

        Example:
            >>> x = torch.ones(1, 5, 2, dtype=torch.complex64)
            >>> OnlineWiener().process(torch.ones(2, 1, 5, 2), x).real.mean()
            tensor(0.5000)
        """
        return two_array_function(self._process)(v, x)  # type: ignore[arg-type]

    def _process(self, v: Tensor, x: Tensor) -> Tensor:
        check_mixture(x)
        check_models(v, x)
        _plain.check_model(v)
        vs, xs = as_items(v, 4), as_items(x, 3)
        pieces = zip(torch.split(vs, _FRAMES, -1), torch.split(xs, _FRAMES, -1), strict=True)
        with torch.no_grad():
            done = [self._frames(*piece) for piece in pieces]
        return torch.cat(done, -1).reshape(*v.shape[:-3], *x.shape[-3:])

    def _frames(self, v: Tensor, x: Tensor) -> Tensor:
        """Filter some frames, each by the model of all frames up to it."""
        items, frames = len(x), x.shape[-1]
        if not frames:
            return x.new_zeros(*v.shape[:2], *x.shape[1:])
        # Each frame becomes an item of its own, for each has its own covariances.
        vs, xs = (t.movedim(-1, 0).unsqueeze(-1).flatten(0, 1) for t in (v, x))
        sums = _plain.model_sums(vs, xs, self._start)
        sums = sums.reshape(frames, items, *sums.shape[1:])
        for t in range(frames):
            if self._sums is not None:
                if self._sums.shape != sums[t].shape:
                    raise ParameterError(
                        f"these frames have covariances of shape {tuple(sums[t].shape)}, those"
                        f" before {tuple(self._sums.shape)}: call reset() before another signal"
                    )
                sums[t] += self.forgetting * self._sums
            self._sums = sums[t].clone()
        regular = Regularisation()
        model = regular.loaded(regular.covariances(sums.flatten(0, 1)))
        y = _plain.model_filter(vs, xs, self._start, model, regular.ridge(model))
        return y.reshape(frames, items, *y.shape[1:-1]).movedim(0, -1)
