import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from unweave.decomposition import match_components
from unweave.errors import ParameterError
from unweave.evaluation import si_sdr


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixed(sources=4, components=5, *, seed=0, channels=2, time=3000):
    """Sources, and noisy estimates that each lean towards some source."""
    references = noise(sources, channels, time, seed=seed)
    weights = noise(components, sources, seed=seed + 1)
    estimates = torch.einsum("es,sct->ect", weights, references)
    return references, estimates + 0.3 * noise(components, channels, time, seed=seed + 2)


def direct(references, estimates, metric):
    """The ratio of each pair from the signals themselves."""
    table = torch.empty(len(references), len(estimates), dtype=torch.float64)
    for i, s in enumerate(references):
        for j, e in enumerate(estimates):
            if metric == "si_sdr":
                table[i, j] = si_sdr(e, s)
            elif metric == "snr":
                table[i, j] = 10 * torch.log10(s.square().sum() / (s - e).square().sum())
            else:
                table[i, j] = 10 * torch.log10(s.norm() / (s - e).norm())
    return table


@pytest.mark.parametrize("metric", ["si_sdr", "snr", "norm_ratio"])
def test_the_table_is_that_of_the_signals(metric):
    references, estimates = mixed(time=70_001)
    kept = references.clone(), estimates.clone()
    table = match_components(references, estimates, metric=metric).table
    torch.testing.assert_close(table, direct(references, estimates, metric), rtol=0, atol=1e-9)
    assert torch.equal(references, kept[0])
    assert torch.equal(estimates, kept[1])


@settings(deadline=None, max_examples=40)
@given(sources=st.integers(1, 6), components=st.integers(1, 6), seed=st.integers(0, 1000))
def test_the_pairing_is_that_of_scipy(sources, components, seed):
    references, estimates = mixed(sources, components, seed=seed, time=60)
    match = match_components(references, estimates)
    rows, columns = linear_sum_assignment(-match.table.numpy())
    wanted = np.full(sources, -1)
    wanted[rows] = columns
    np.testing.assert_array_equal(match.indices.numpy(), wanted)
    assert float(match.scores.nansum()) == pytest.approx(float(match.table[rows, columns].sum()))
    assert match.unmatched.nonzero().flatten().tolist() == sorted(
        set(range(components)) - set(columns.tolist())
    )


def test_the_textbook_figures_are_half_of_snr_and_each_reference_chooses_for_itself():
    references, estimates = mixed()
    estimates = torch.stack([references.sum(0), 0.01 * estimates[0], references[0] / 2])
    flattered = match_components(references, estimates, metric="norm_ratio", pairing="best")
    honest = match_components(references, estimates, metric="snr")
    torch.testing.assert_close(flattered.table, honest.table / 2)
    torch.testing.assert_close(flattered.scores, flattered.table.amax(-1))
    assert flattered.indices.tolist() == flattered.table.argmax(-1).tolist()
    assert len(set(flattered.indices.tolist())) < 4  # one component stands for several sources
    assert sorted(honest.indices.tolist()) == [-1, 0, 1, 2]
    assert honest.scores.isnan().sum() == 1


def test_silence_takes_no_component_and_is_chosen_last():
    references, estimates = mixed(3, 3)
    references[1], estimates[0] = 0, 0
    match = match_components(references, estimates)
    assert match.indices[1] == -1
    assert match.scores[1].isnan()
    assert match.table[1].isnan().all()
    assert (match.table[[0, 2], 0] == -torch.inf).all()
    assert sorted(match.indices[[0, 2]].tolist()) == [1, 2]
    assert match.unmatched.tolist() == [True, False, False]


def test_copies_are_found_whatever_their_order_and_level():
    references = noise(7, 1, 5000).float()
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    match = match_components(references, -3 * references[order])
    assert match.indices.tolist() == order.argsort().tolist()
    assert (match.scores > 120).all()
    assert match.scores.dtype == torch.float32


@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_leading_axes_are_matched_each_by_itself(lead):
    references = noise(*lead, 3, 1, 100)
    estimates = references.flip(-3) + 0.3 * noise(*lead, 3, 1, 100, seed=1)
    whole = match_components(references, estimates)
    assert whole.table.shape == (*lead, 3, 3)
    for at in np.ndindex(*lead):
        single = match_components(references[at], estimates[at])
        for one, all_of_it in zip(single, whole, strict=True):
            torch.testing.assert_close(one, all_of_it[at])


def test_numpy_in_numpy_out():
    references, estimates = (x.numpy() for x in mixed())
    match = match_components(references, estimates)
    assert isinstance(match.indices, np.ndarray)
    assert isinstance(match.unmatched, np.ndarray)


def test_errors_say_what_is_wrong():
    x = noise(2, 1, 10)
    with pytest.raises(ParameterError, match="cut the longer"):
        match_components(x, noise(2, 1, 11))
    with pytest.raises(ParameterError, match="at least one sample"):
        match_components(x[..., :0], x[..., :0])
    with pytest.raises(ParameterError, match=r"\(\.\.\., sources, channels, time\)"):
        match_components(x[0], x[0])
    with pytest.raises(ParameterError, match="NaN"):
        match_components(x, x / 0)
    with pytest.raises(ParameterError, match="metric='sdr' must be one of si_sdr"):
        match_components(x, x, metric="sdr")
    with pytest.raises(ParameterError, match="pairing"):
        match_components(x, x, pairing="greedy")
