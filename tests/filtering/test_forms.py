"""The compiled kernels against the plain form, whatever the order in memory, and who gets which."""

import itertools
import threading

import pytest
import torch

from unweave._core import pool
from unweave.errors import DependencyError, ParameterError
from unweave.filtering import (
    StreamingWiener,
    _compiled,
    _forms,
    _plain,
    expectation_maximization,
    softmask,
    wiener,
)
from unweave.filtering._regular import Regularisation, Start


def problem(channels, models, dtype=torch.complex64, freq=203, frames=31, batch=2):
    made = torch.Generator().manual_seed(channels)
    x = torch.randn(batch, channels, freq, frames, dtype=dtype, generator=made)
    x[..., 5:9, 3:6] = 0
    v = torch.rand(batch, 3, models, freq, frames, dtype=x.real.dtype, generator=made)
    v[:, 1, :, 7] = 0
    return v, x


def turned(x):
    """Give the same values, frequencies of a frame being neighbours in memory."""
    return x.mT.contiguous().mT


ORDERS = {
    "by frame": lambda v, x: (turned(v), turned(x)),
    "by frequency": lambda v, x: (v, x),
    "mixed": lambda v, x: (turned(v), x),
    "mixed otherwise": lambda v, x: (v, turned(x)),
    "norbert's": lambda v, x: (
        v.permute(0, 4, 3, 2, 1).contiguous().permute(0, 4, 3, 2, 1),
        x.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1),
    ),
    "parts of larger ones": lambda v, x: (
        torch.cat([v, v], -1)[..., : v.shape[-1]],
        torch.cat([x, x], -2)[..., : x.shape[-2], :],
    ),
    "expanded": lambda v, x: (v[..., :1].expand_as(v), x[:, :1].expand_as(x)),
}


def steps(form, v, x, start):
    """Run all steps of a form one after the other."""
    regular = Regularisation()
    first = form.initial(v, x, start)
    sums = form.model_sums(v, x, start)
    model = regular.covariances(sums)
    y = form.model_filter(v, x, start, regular.loaded(model), regular.ridge(model))
    again = form.estimate_sums(y)
    model = regular.covariances(again)
    y2, psd = form.estimate_filter(form.owned(y, x), x, regular.loaded(model), regular.ridge(model))
    return first, sums, y, again, y2, psd


def assert_steps_agree(v, x, start):
    plain = steps(_plain, v, x, start)
    compiled = steps(_compiled, v, x, start)
    bound = 1e-11 if x.dtype == torch.complex128 else 4e-6
    for a, b in zip(plain, compiled, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert float((a - b).abs().max()) <= bound * float(a.abs().max())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_forms_agree_in_any_order(channels, order):
    assert_steps_agree(*ORDERS[order](*problem(channels, channels)), Start())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_forms_agree_for_all_starts_models_and_precisions(channels, soft, dtype):
    for models in {1, channels}:
        v, x = problem(channels, models, dtype)
        for order in ("by frame", "by frequency"):
            assert_steps_agree(*ORDERS[order](v, x), Start(soft))
    assert_steps_agree(v, x, Start(soft, eps=0.1 if soft else 0.0))


def test_models_of_any_type_are_put_in_order_block_by_block(monkeypatch):
    monkeypatch.setattr(_compiled, "_COPIED", 2000)
    v, x = problem(2, 2)
    for order in ORDERS.values():
        a, b = order(10 * v, x)
        expected = wiener(a.to(torch.int32), b, backend="torch")
        got = wiener(a.to(torch.int32), b, backend="compiled")
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    expected = softmask(v.half(), x, backend="torch")
    torch.testing.assert_close(softmask(v.half(), x, backend="compiled"), expected)


@pytest.mark.parametrize("channels", [2, 3])
def test_threads_share_the_rows(monkeypatch, two_threads, channels):
    v, x = problem(channels, channels)
    monkeypatch.setattr(_compiled, "_SHARE", 1)
    monkeypatch.setattr(pool, "_SHARE", 1)
    monkeypatch.setattr(pool, "_LEAST", 1)
    for order in ("by frame", "by frequency"):
        a, b = ORDERS[order](v, x)
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(expectation_maximization(wiener(a, b), b, backend="compiled"))
        for result in results[1:]:
            for one, other in zip(results[0], result, strict=True):
                assert torch.equal(one, other)


def test_callers_in_several_threads_do_not_disturb_each_other():
    problems = [problem(2, 2, batch=1 + i) for i in range(4)]
    found = [None] * 4

    def call(i):
        found[i] = wiener(*problems[i], backend="compiled")

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for y, (v, x) in zip(found, problems, strict=True):
        torch.testing.assert_close(y, wiener(v, x, backend="torch"), rtol=0, atol=1e-5)


@pytest.mark.parametrize("place", list(itertools.product((0, 1), (0, 2), (0, 202), (0, 30))))
def test_negative_models_are_found_wherever_they_are(place):
    v, x = problem(2, 2)
    item, source, freq, frame = place
    v[item, source, 1, freq, frame] = -1e-9
    for order in ("by frame", "by frequency", "norbert's"):
        for n_iter in (0, 1):
            with pytest.raises(ParameterError, match="negative"):
                wiener(*ORDERS[order](v, x), n_iter=n_iter, backend="compiled")


def test_auto_compiles_where_it_pays_and_nothing_follows(monkeypatch):
    small, large = problem(2, 1), problem(2, 1, frames=300)
    asked = []
    monkeypatch.setattr(_compiled, "available", lambda: not asked.append(1))
    assert _forms.choose("auto", *small) is _plain
    assert not asked
    assert _forms.choose("auto", *large) is _compiled
    assert asked
    assert _forms.choose("compiled", *small) is _compiled
    assert _forms.choose("torch", *large) is _plain
    v, x = large
    assert _forms.choose("auto", v.requires_grad_(), x) is _plain
    with torch.no_grad():
        assert _forms.choose("auto", v, x) is _compiled
    assert _forms.choose("auto", v.detach().to("meta"), x.to("meta")) is _plain
    with pytest.raises(ParameterError, match="gives no gradients and works on the CPU only"):
        _forms.choose("compiled", v, x)


def test_without_numba_the_plain_form_runs(monkeypatch):
    monkeypatch.setattr(_compiled, "available", lambda: False)
    v, x = problem(2, 1, frames=300)
    assert _forms.choose("auto", v, x) is _plain
    assert torch.equal(wiener(v, x), wiener(v, x, backend="torch"))
    for call in (
        lambda: wiener(v, x, backend="compiled"),
        lambda: StreamingWiener(backend="compiled").accumulate(v, x),
    ):
        with pytest.raises(DependencyError, match="pip install"):
            call()


def test_compiled_results_lie_in_memory_as_the_mixture_does():
    v, x = problem(2, 2)
    assert wiener(v, x, backend="compiled").is_contiguous()
    y = wiener(turned(v), turned(x), backend="compiled")
    assert y.stride()[-2] == 1
    assert torch.equal(y.conj(), wiener(turned(v), turned(x), backend="compiled").conj())


def test_lazy_conjugates_are_seen():
    v, x = problem(2, 2)
    expected = wiener(v, x, backend="compiled").conj()
    torch.testing.assert_close(wiener(v, x.conj(), backend="compiled"), expected.resolve_conj())


def test_plain_blocks_of_frames_are_the_whole(monkeypatch):
    v, x = problem(3, 3, torch.complex128)
    expected = steps(_plain, v, x, Start())
    monkeypatch.setitem(_plain._BLOCK, "cpu", 5000)
    for a, b in zip(steps(_plain, v, x, Start()), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_threads_work_in_the_mode_of_their_caller(two_threads, mode):
    v, x = problem(2, 2, freq=600, frames=200, batch=1)
    assert x.numel() >= 2 * 2**17 / 2  # enough for a thread of its own
    expected = expectation_maximization(softmask(v, x), x, n_iter=2, backend="torch")
    with mode():
        y = softmask(v, x, backend="compiled")
        found = expectation_maximization(y, x, n_iter=2, backend="compiled")
        again = wiener(v, x, n_iter=2, backend="compiled")
    for a, b in zip((*found, again), (*expected, expected[0]), strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()
