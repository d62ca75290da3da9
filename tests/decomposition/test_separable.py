import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave.decomposition import separable_nmf
from unweave.decomposition._gram import Frames, energies, inner
from unweave.errors import ParameterError

spec = importlib.util.spec_from_file_location(
    "separable_data", Path(__file__).with_name("separable_data.py")
)
data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(data)

CORRECT = [
    {"method": "snpa"},
    {"method": "xray"},
    {"method": "xray", "selection": "dist"},
    {"method": "xray", "selection": "rand"},
    {"method": "greedy"},
]
EVERY = [{"method": "spa"}, *CORRECT]


def named(options):
    return "-".join(str(value) for value in options.values())


def chosen(V, count, **options):
    return separable_nmf(V, count, **options).indices.tolist()


def error(V, found):
    return float((V - found.W @ found.H).norm() / V.norm())


@pytest.mark.parametrize("options", [*EVERY, {"normalize": False}], ids=named)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_generating_columns_are_found(options, dtype):
    for seed in range(8):
        V, where = data.separable(seed)
        V = V.to(dtype)
        kept = V.clone()
        found = separable_nmf(V, 8, **options)
        assert sorted(found.indices.tolist()) == sorted(where.tolist())
        assert torch.equal(found.W, V[:, found.indices])
        assert (found.H >= 0).all()
        assert error(V, found) < (1e-6 if dtype == torch.float32 else 1e-12)
        assert torch.equal(V, kept)
        assert found.W.dtype == found.H.dtype == dtype


def test_greedy_xray_is_not_correct():
    recovered = 0
    for seed in range(8):
        V, where = data.separable(seed)
        found = chosen(V, 8, method="xray", selection="greedy")
        recovered += sorted(found) == sorted(where.tolist())
    assert recovered == 0


def test_linearly_dependent_sources_need_more_than_projections_on_their_span():
    rng = np.random.default_rng(0)
    for seed in range(8):
        V, where = data.separable(seed, freq=10, components=20, others=200)
        loud = V * torch.from_numpy(rng.uniform(1, 10, V.shape[1]))
        for options in CORRECT:
            assert sorted(chosen(V, 20, **options)) == sorted(where.tolist())
            assert sorted(chosen(loud, 20, **options)) == sorted(where.tolist())
        assert len(chosen(V, 20, method="spa")) <= 10


@pytest.mark.parametrize("options", CORRECT, ids=named)
def test_the_swimmer_is_taken_apart(options):
    V = data.swimmer()
    found = separable_nmf(V, 16, **options)
    assert found.indices.shape == (16,)
    assert len(torch.unique(V[:, found.indices], dim=1).T) == 16
    assert error(V, found) < 1e-7


def test_the_swimmer_has_a_rank_of_13_only():
    # Published: 13 columns [Gillis2013, section 5.4]; measured in Octave: an error of 20.78.
    V = data.swimmer()
    found = separable_nmf(V, 16, method="spa")
    assert found.indices.shape == (13,)
    assert found.H.shape == (13, V.shape[1])
    assert float((V - found.W @ found.H).norm()) == pytest.approx(20.78, abs=0.01)
    assert error(V, found) == pytest.approx(0.2548, abs=1e-4)
    for options in ({"normalize": False}, {"method": "xray", "selection": "greedy"}):
        assert error(V, separable_nmf(V, 16, **options)) == pytest.approx(0.1471, abs=1e-4)


def test_the_centre_of_a_triangle_is_no_corner():
    V = torch.cat([torch.eye(3), torch.ones(3, 1) / 3], 1).double()
    for options in EVERY:
        expected = [2, 0, 1] if options["method"] == "greedy" else [0, 1, 2]
        indices = chosen(V, 3, **options)
        assert sorted(indices) == [0, 1, 2]
        if options.get("selection") != "rand":
            assert indices == expected
    assert chosen(V, 3, method="xray", selection="greedy")[0] == 3


def test_a_loud_mixture_does_not_hide_its_sources():
    V = torch.tensor([[0.0, 1, 0, 0], [10, 0, 1, 0], [10, 0, 0, 1]]).double()
    for options in [*EVERY, {"method": "xray", "normalize": False}]:
        assert sorted(chosen(V, 3, **options)) == [1, 2, 3]
    for method in ("snpa", "spa"):  # what it is that levels do
        assert 0 in chosen(V, 3, method=method, normalize=False)


@pytest.mark.parametrize("options", [o for o in EVERY if o.get("selection") != "rand"], ids=named)
def test_the_choice_does_not_depend_on_order_basis_or_level(options):
    V, _ = data.separable(1, components=6)
    V = V + 0.01 * torch.rand(V.shape, generator=torch.Generator().manual_seed(0)).double()
    expected = chosen(V, 10, **options)
    order = torch.from_numpy(np.random.default_rng(2).permutation(V.shape[1]))
    assert [int(order[i]) for i in chosen(V[:, order], 10, **options)] == expected
    for factor in (1e-6, 1e6):
        assert chosen(factor * V, 10, **options) == expected
    gains = torch.from_numpy(np.random.default_rng(3).uniform(1, 10, V.shape[1]))
    assert chosen(gains * V, 10, **options) == expected
    if options["method"] != "xray":  # inner products are all that counts
        rotation = torch.linalg.qr(torch.randn(30, 30).double()).Q
        rotated = chosen(rotation @ V, 10, normalize=False, gate_db=None, **options)
        assert rotated == chosen(V, 10, normalize=False, gate_db=None, **options)


def recovered(kind, delta, **options):
    def choose(V):
        return separable_nmf(V, 20, normalize=False, gate_db=None, **options).indices.numpy()

    return data.recovered(kind, delta, choose)


@pytest.mark.parametrize("kind", [1, 2])
def test_noise_is_borne_as_published_where_sources_are_dependent(kind):
    assert recovered(kind, 0.0316, method="snpa") >= 0.99
    assert recovered(kind, 0.0316, method="xray") >= 0.95
    assert recovered(kind, 0.0316, method="greedy") >= 0.94
    assert recovered(kind, 0.0316, method="spa") <= 0.5


def test_noise_is_borne_as_published_where_sources_are_nearly_dependent():
    assert recovered(3, 0.00316, method="snpa") == 1
    assert recovered(3, 0.00316, method="spa") <= 0.95
    assert recovered(4, 0.0316, method="snpa") >= 0.98


def test_the_residuals_are_those_of_a_slow_and_plain_implementation():
    from unweave.decomposition import _spa

    V = np.random.default_rng(0).random((12, 40))
    rest, expected = V.copy(), []
    for _ in range(9):
        k = int((rest**2).sum(0).argmax())
        expected.append(k)
        u = rest[:, k] / np.linalg.norm(rest[:, k])
        rest -= np.outer(u, u @ rest)
    ones = torch.ones(40, dtype=torch.float64)
    assert _spa.select(Frames(torch.from_numpy(V), ones), 9) == expected


def test_frames_that_are_silent_are_not_chosen():
    V, where = data.separable(0)
    noise = 1e-5 * torch.rand(30, 20, generator=torch.Generator().manual_seed(0)).double()
    V = torch.cat([V, noise, torch.zeros(30, 3).double()], 1)
    for options in EVERY:
        found = separable_nmf(V, 8, **options)
        assert sorted(found.indices.tolist()) == sorted(where.tolist())
        assert (found.H[:, -3:] == 0).all()
        assert max(chosen(V, 20, **options, gate_db=None)) < V.shape[1] - 3
    assert max(chosen(V, 20, gate_db=None)) >= 108  # the noise looks like sources


@pytest.mark.parametrize("options", EVERY, ids=named)
def test_copies_and_a_low_rank_end_the_choice(options):
    V, _ = data.separable(0, components=3, others=10)
    V = torch.cat([V, V, 2 * V], 1)
    found = separable_nmf(V, 30, **options)
    assert found.indices.shape == (3,)
    assert error(V, found) < 1e-7
    assert separable_nmf(V[:, :1], 5, **options).indices.tolist() == [0]


def test_silence_has_no_components():
    found = separable_nmf(torch.zeros(5, 7), 3)
    assert [tuple(x.shape) for x in found] == [(0,), (5, 0), (0, 7)]


@pytest.mark.parametrize("options", EVERY, ids=named)
def test_leading_axes_are_taken_apart_each_by_itself(options):
    items = [data.separable(seed, components=3 + seed, others=20)[0][:, :20] for seed in range(3)]
    V = torch.stack([*items, torch.zeros(30, 20), items[0], items[1]]).reshape(2, 3, 30, 20)
    whole = separable_nmf(V, 6, **options)
    count = whole.indices.shape[-1]
    assert whole.W.shape == (2, 3, 30, count)
    assert whole.H.shape == (2, 3, count, 20)
    for at in np.ndindex(2, 3):
        single = separable_nmf(V[at], 6, **options)
        size = len(single.indices)
        if options.get("selection") != "rand":
            assert whole.indices[at][:size].tolist() == single.indices.tolist()
            torch.testing.assert_close(whole.H[at][:size], single.H)
        assert (whole.indices[at][size:] == -1).all()
        assert (whole.W[at][:, size:] == 0).all()


def test_every_order_of_memory_gives_the_same():
    V, _ = data.separable(0, freq=40, others=400)
    V = V.float()
    for method in ("spa", "snpa", "xray"):
        frames_apart = V.mT.contiguous().mT
        assert chosen(V, 8, method=method) == chosen(frames_apart, 8, method=method)
    vectors = torch.randn(40, 3).double()
    for x in (V, V.mT.contiguous().mT, V.double()):
        torch.testing.assert_close(inner(x, vectors), V.double().mT @ vectors)
        torch.testing.assert_close(energies(x), V.double().square().sum(0))


@pytest.mark.parametrize("options", [{"method": m} for m in ("snpa", "xray", "greedy")], ids=named)
def test_the_plain_form_chooses_the_same(monkeypatch, options):
    V, _ = data.separable(0, components=6, others=40)
    V = V + 0.01 * torch.rand(V.shape, generator=torch.Generator().manual_seed(0)).double()
    compiled = separable_nmf(V, 6, **options)
    monkeypatch.setattr("unweave.decomposition._weights.compiled_available", lambda: False)
    plain = separable_nmf(V, 6, **options)
    assert plain.indices.tolist() == compiled.indices.tolist()
    torch.testing.assert_close(plain.W @ plain.H, compiled.W @ compiled.H, atol=1e-4, rtol=0)


def test_random_choice_follows_the_generator():
    V = torch.rand(10, 60, generator=torch.Generator().manual_seed(0))
    options = {"method": "xray", "selection": "rand"}
    seeded = [
        chosen(V, 8, **options, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1] != seeded[2]
    assert chosen(V, 8, **options) == chosen(V, 8, **options)


def test_numpy_in_numpy_out():
    found = separable_nmf(data.separable(0)[0].numpy(), 8)
    assert all(isinstance(x, np.ndarray) for x in found)


def test_integers_become_single_precision():
    V = (9 * data.separable(0)[0]).round()
    found = separable_nmf(V.int(), 8)
    assert found.W.dtype == found.H.dtype == torch.float32
    assert torch.equal(found.indices, separable_nmf(V.float(), 8).indices)


def test_errors_say_what_is_wrong():
    V = torch.rand(4, 5)
    with pytest.raises(ParameterError, match="n_components=0"):
        separable_nmf(V, 0)
    with pytest.raises(ParameterError, match="method='nmf' must be one of snpa"):
        separable_nmf(V, 2, method="nmf")
    with pytest.raises(ParameterError, match="selection"):
        separable_nmf(V, 2, selection="min")
    with pytest.raises(ParameterError, match="gate_db=-1"):
        separable_nmf(V, 2, gate_db=-1)
    for bad in (V[0], V[:, :0], V + 1j):
        with pytest.raises(ParameterError, match=r"\(\.\.\., freq, frames\)"):
            separable_nmf(bad, 2)
    for bad in (torch.nan, torch.inf):
        with pytest.raises(ParameterError, match="NaN or infinity"):
            separable_nmf(torch.where(V > 0.5, V, bad), 2)
    with pytest.raises(ParameterError, match=r"negative values, down to -1\.*.*normalize=False"):
        separable_nmf(-V / V.max(), 2)
