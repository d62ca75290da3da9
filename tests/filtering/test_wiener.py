"""The multichannel Wiener filter: right where norbert is, right where it is not."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import WienerFilter, expectation_maximization, wiener

SETTINGS = settings(max_examples=15, deadline=None)


def problem(sources=3, channels=2, freq=9, frames=30, *, seed=0, mono=False, dtype=torch.complex64):
    """Draw a mixture of sources that come and go, and magnitudes of its sources with errors."""
    made = torch.Generator().manual_seed(seed)
    real = torch.float64 if dtype == torch.complex128 else torch.float32
    shape = (sources, channels, freq, frames)
    level = torch.rand(sources, 1, freq, frames, generator=made, dtype=real) ** 4
    y = torch.complex(*torch.randn(2, *shape, generator=made, dtype=real)) * level
    error = 0.5 + torch.rand(shape, generator=made, dtype=real)
    v = y.abs() * error
    return (v.mean(1, keepdim=True) if mono else v), y.sum(0)


def reference(v, x, **options):
    return wiener(v.double(), x.to(torch.complex128), backend="torch", **options)


def difference(y, z, x):
    return float((y - z).abs().max() / x.abs().max())


@pytest.mark.parametrize("loud", [1, 300])
@pytest.mark.parametrize("use_softmask", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_norbert_is_reproduced_with_its_regularisation(norbert, channels, use_softmask, loud):
    v, x = problem(channels=channels, dtype=torch.complex128)
    v, x = (loud * v).numpy(), (loud * x).numpy()
    for n_iter in (0, 1, 2):
        expected = norbert.wiener(
            v.transpose(3, 2, 1, 0), x.transpose(2, 1, 0).copy(), n_iter, use_softmask, eps=1e-9
        )
        got = wiener(v, x, n_iter=n_iter, use_softmask=use_softmask, eps=1e-9)
        assert abs(got - expected.transpose(3, 2, 1, 0)).max() < 1e-6 * abs(x).max()


def cases():
    """Mixtures whose covariances are singular, or nearly so."""
    v, x = problem()
    s = problem(sources=4, channels=1, seed=1)[0].expand(-1, 2, -1, -1)
    wave = torch.complex(s, s.roll(1, -1))
    pans = torch.tensor([[1, 0], [0, 1], [0.6, 0.8], [1, 1]])[:, :, None, None]
    silent = torch.rand(9, 30, generator=torch.Generator().manual_seed(2)) < 0.3
    one = v.clone()
    one[1:] = 0
    yield "dual mono", v[:, :1].expand(-1, 2, -1, -1), x[:1].expand(2, -1, -1)
    yield "nearly dual mono", v, torch.stack([x[0], x[0] + 1e-6 * x[1]])
    yield "hard panned", (wave * pans).abs()[:2], (wave * pans)[:2].sum(0)
    yield "more point sources than channels", (wave * pans).abs(), (wave * pans).sum(0)
    yield "silent bins", v * ~silent, x * ~silent
    yield "models are silent where the mixture is not", v * ~silent, x
    yield "the mixture is silent where models are not", v, x * ~silent
    yield "a silent channel", v, x * torch.tensor([1.0, 0.0])[:, None, None]
    yield "one active source", one, x
    yield "silence", 0 * v, 0 * x
    yield "many sources", *problem(sources=9)
    yield "one source", *problem(sources=1)
    yield "one frame", *problem(frames=1)
    yield "mono models", *problem(mono=True)
    for channels in (1, 3, 4, 8):
        yield f"{channels} channels", *problem(channels=channels)
        w, z = problem(channels=channels, frames=2)
        yield f"{channels} channels, two frames", w, z
        yield f"{channels} equal channels", w[:, :1], z[:1].expand(channels, -1, -1)


# Between iterations estimates are rounded to single precision, which these filters amplify.
SENSITIVE = ("nearly dual mono", "one frame")


@pytest.mark.parametrize(("case", "v", "x"), list(cases()), ids=[case[0] for case in cases()])
@pytest.mark.parametrize("use_softmask", [True, False])
def test_single_precision_is_as_good_as_double_on_singular_models(case, v, x, use_softmask):
    for n_iter in (0, 1, 2):
        options = {"n_iter": n_iter, "use_softmask": use_softmask}
        y = wiener(v, x, **options)
        assert y.dtype == torch.complex64
        assert y.isfinite().all()
        size = max(float(x.abs().max()), float(v.max()) if not use_softmask else 0.0, 1e-30)
        expected = reference(v, x, **options)
        bound = 1e-5 if n_iter == 2 and case in SENSITIVE else 1e-6
        assert (y - expected).abs().max() <= bound * size


@given(
    scale=st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6]),
    model=st.sampled_from([1e-12, 1.0, 1e9]),
    n_iter=st.integers(0, 3),
    channels=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@SETTINGS
def test_estimates_sum_to_the_mixture_and_scale_with_it(scale, model, n_iter, channels, seed):
    v, x = problem(channels=channels, seed=seed)
    y = wiener(model * v, scale * x, n_iter=n_iter)
    error = (y.sum(0) - scale * x).to(torch.complex128).abs().square().sum()
    energy = (scale * x).to(torch.complex128).abs().square().sum()
    assert 10 * torch.log10(error / energy) <= -100
    assert difference(y / scale, wiener(v, x, n_iter=n_iter), x) < 1e-5


@given(n_iter=st.integers(0, 2), use_softmask=st.booleans(), seed=st.integers(0, 99))
@SETTINGS
def test_order_of_sources_and_channels_and_directions_do_not_matter(n_iter, use_softmask, seed):
    options = {"n_iter": n_iter, "use_softmask": use_softmask}
    v, x = problem(4, 3, seed=seed, dtype=torch.complex128)
    y = wiener(v, x, **options)
    turn = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    assert difference(wiener(v[turn], x, **options), y[turn], x) < 1e-9
    swap = torch.randperm(3, generator=torch.Generator().manual_seed(seed))
    assert difference(wiener(v[:, swap], x[swap], **options), y[:, swap], x) < 1e-9


@given(n_iter=st.integers(0, 2), seed=st.integers(0, 99))
@SETTINGS
def test_unitary_mixing_of_channels_mixes_the_estimates(n_iter, seed):
    v, x = problem(3, 3, seed=seed, mono=True, dtype=torch.complex128)
    made = torch.Generator().manual_seed(seed)
    mix = torch.linalg.qr(torch.randn(3, 3, dtype=torch.complex128, generator=made))[0]
    expected = torch.einsum("dc,jcft->jdft", mix, wiener(v, x, n_iter=n_iter))
    got = wiener(v, torch.einsum("dc,cft->dft", mix, x), n_iter=n_iter)
    assert difference(got, expected, x) < 1e-9


@pytest.mark.parametrize("n_iter", [1, 2, 3])
def test_one_channel_is_what_the_em_algorithm_gives(n_iter):
    v, x = problem(channels=1, dtype=torch.complex128)
    for use_softmask in (True, False):
        start = wiener(v, x, n_iter=0, use_softmask=use_softmask)
        expected, _, _ = expectation_maximization(start, x, n_iter=n_iter)
        got = wiener(v, x, n_iter=n_iter, use_softmask=use_softmask)
        assert difference(got, expected, x) < 1e-12


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("eps", [None, 1e-6])
def test_leading_axes_are_free(lead, eps):
    items = [problem(seed=i) for i in range(6)]
    number = int(np.prod(lead))
    v = torch.stack([10**i * item[0] for i, item in enumerate(items)][:number]).reshape(
        *lead, 3, 2, 9, 30
    )
    x = torch.stack([10**i * item[1] for i, item in enumerate(items)][:number]).reshape(
        *lead, 2, 9, 30
    )
    y = wiener(v, x, eps=eps)
    assert y.shape == (*lead, 3, 2, 9, 30)
    flat = zip(v.reshape(-1, 3, 2, 9, 30), x.reshape(-1, 2, 9, 30), strict=True)
    for got, (a, b) in zip(y.reshape(-1, 3, 2, 9, 30), flat, strict=True):
        assert difference(got, wiener(a, b, eps=eps), b) < 1e-6


@pytest.mark.parametrize("eps", [None, 1e-8])
@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_arguments_stay_as_they_were_even_loud_ones(eps, backend):
    v, x = problem()
    v, x = 1000 * v, 1000 * x
    x[:, 3] = 0
    v0, x0 = v.clone(), x.clone()
    for use_softmask in (True, False):
        wiener(v, x, n_iter=2, use_softmask=use_softmask, eps=eps, backend=backend)
        expectation_maximization(v * x, x, backend=backend)
    assert torch.equal(v, v0)
    assert torch.equal(x, x0)


def test_numpy_in_numpy_out_in_the_precision_of_the_mixture():
    v, x = problem()
    expected = wiener(v, x).numpy()
    for kind in ("float32", "float64", "float16"):
        model = v.numpy().astype(kind)
        model.flags.writeable = False
        y = wiener(model, x.numpy())
        assert isinstance(y, np.ndarray)
        assert y.dtype == np.complex64
        assert abs(y - expected).max() < (1e-2 if kind == "float16" else 1e-6)
    assert wiener(v.numpy(), x.numpy().astype("complex128")).dtype == np.complex128


def test_models_may_be_whole_numbers():
    _, x = problem()
    for dtype in (torch.int64, torch.uint8, torch.uint16, torch.uint64, torch.bool):
        v = (torch.rand(3, 2, 9, 30) < 0.5).to(dtype)
        for backend in ("torch", "compiled"):
            y = wiener(v, x, backend=backend)
            assert difference(y, wiener(v.float(), x), x) < 1e-6


@pytest.mark.parametrize("shape", [(3, 2, 9, 0), (0, 2, 9, 30), (3, 2, 0, 30), (0, 2, 9, 0)])
def test_empty_problems_have_empty_results(shape):
    y = wiener(torch.ones(shape), torch.ones(shape[1:], dtype=torch.complex64), n_iter=2)
    assert y.shape == shape
    v = torch.ones(0, *shape)
    assert wiener(v, torch.ones(0, *shape[1:], dtype=torch.complex64)).shape == (0, *shape)


def test_nan_stays_in_its_frequency():
    v, x = problem()
    v[1, 0, 4, 5] = torch.nan
    for backend in ("torch", "compiled"):
        y = wiener(v, x, backend=backend)
        assert y[:, :, 4].isnan().all()
        assert y[:, :, [0, 1, 2, 3, 5, 6, 7, 8]].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, x: (v, x.abs()), "must be a complex spectrogram"),
        (lambda v, x: (v, x[0]), "give mono a channel axis"),
        (lambda v, x: (v, x[:0]), "at least one channel"),
        (lambda v, x: (v + 0j, x), "models are real"),
        (lambda v, x: (v[0], x), "does not fit a mixture"),
        (lambda v, x: (v[..., 1:], x), "does not fit a mixture"),
        (lambda v, x: (v.repeat(1, 2, 1, 1)[:, :3], x), "does not fit a mixture"),
        (lambda v, x: (v[None], x), "does not fit a mixture"),
        (lambda v, x: (-v, x), "negative"),
    ],
)
@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_what_does_not_fit_is_refused(change, message, backend):
    with pytest.raises(ParameterError, match=message):
        wiener(*change(*problem()), backend=backend)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_iter": -1}, "n_iter=-1 must be an integer"),
        ({"n_iter": 1.5}, "n_iter=1.5"),
        ({"eps": -1e-9}, "eps=-1e-09 must be finite and at least 0"),
        ({"eps": float("nan")}, "eps=nan"),
        ({"eps": "small"}, "eps='small'"),
        ({"backend": "cuda"}, "backend='cuda' must be one of auto, compiled, torch"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        wiener(*problem(), **options)
    with pytest.raises(ParameterError, match=message):
        WienerFilter(**options)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("options", [{"n_iter": 0}, {}, {"n_iter": 2}, {"eps": 1e-3}])
@pytest.mark.parametrize("use_softmask", [True, False])
def test_gradients_are_right(channels, options, use_softmask):
    v, x = problem(2, channels, 2, 3, dtype=torch.complex128)
    v, x = (0.1 + v).requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v, x: wiener(v, x, use_softmask=use_softmask, **options), (v, x)
    )


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_gradients_are_finite_in_silence(channels):
    for use_softmask in (True, False):
        v = torch.zeros(3, channels, 4, 5, requires_grad=True)
        x = torch.zeros(channels, 4, 5, dtype=torch.complex64, requires_grad=True)
        wiener(v, x, n_iter=2, use_softmask=use_softmask).abs().sum().backward()
        assert v.grad.isfinite().all()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("use_softmask", [True, False])
@pytest.mark.parametrize("n_iter", [0, 1])
def test_gradients_are_finite_where_models_are_all_but_zero(n_iter, use_softmask):
    v, x = problem()
    masks = torch.full_like(v, 1e-42).requires_grad_()
    y = WienerFilter(n_iter=n_iter, use_softmask=use_softmask)(masks * x.abs(), x)
    (y.real.sum() + y.imag.sum()).backward()
    assert masks.grad.isfinite().all()


@pytest.mark.parametrize("backend", ["torch", "compiled"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("n_iter", [0, 1, 2])
def test_models_may_be_so_small_that_their_inverses_overflow(n_iter, channels, backend):
    v, x = problem(channels=channels)
    v = (1e-18 * v).square()  # powers of a faint signal, down to the least float32
    assert 0 < v[v > 0].min() < 1e-42
    y = wiener(v, x, n_iter=n_iter, backend=backend)
    assert difference(y, reference(v, x, n_iter=n_iter), x) < 1e-6


def test_shapes_can_be_found_without_values():
    v, x = problem()
    assert wiener(v.to("meta"), x.to("meta")).shape == v.shape


def test_the_module_can_be_compiled_exported_copied_and_kept():
    v, x = problem()
    module = WienerFilter(n_iter=2)
    expected = module(v, x)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(v, x), expected)
    exported = torch.export.export(module, (v, x)).module()
    assert difference(exported(v, x), expected, x) < 1e-6
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(v, x), expected)
    assert not module.state_dict()
    assert "n_iter=2" in repr(module)


def test_functorch_maps_over_items():
    items = [problem(seed=i) for i in range(3)]
    v, x = (torch.stack(part) for part in zip(*items, strict=True))
    mapped = torch.func.vmap(lambda v, x: wiener(v, x))(v, x)
    assert difference(mapped, wiener(v, x), x) < 1e-6


@pytest.mark.parametrize("n_iter", [1, 2])
def test_a_silent_channel_of_all_models_is_no_nan_in_any_form(n_iter):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 257, 300, dtype=torch.complex64, generator=generator)
    v = torch.rand(2, 2, 257, 300, generator=generator)
    v[:, 1] = 0
    found = wiener(v, x, n_iter=n_iter, backend="compiled")
    assert torch.isfinite(torch.view_as_real(found)).all()
    plain = wiener(v, x, n_iter=n_iter, backend="torch")
    assert (found - plain).abs().max() <= 1e-5 * x.abs().max()
