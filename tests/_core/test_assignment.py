import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from unweave._core.assignment import assign


@settings(deadline=None, max_examples=100)
@given(rows=st.integers(1, 9), more=st.integers(0, 4), seed=st.integers(0, 1000))
def test_the_assignment_is_the_cheapest(rows, more, seed):
    size = (rows, rows + more)
    costs = np.random.default_rng(seed).normal(0, 3, size).round()  # ties too
    given_costs = costs.tolist()
    columns = assign(given_costs)
    assert len(set(columns)) == rows
    best = costs[linear_sum_assignment(costs)].sum()
    assert costs[range(rows), columns].sum() == best
    assert given_costs == costs.tolist()


def test_nothing_needs_nothing():
    assert assign([]) == []
