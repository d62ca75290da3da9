import pytest
import torch

from unweave.errors import ParameterError
from unweave.losses import l1_loss, l2_loss, permutation_invariant, si_sdr_loss


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sources", [1, 2, 4, 6, 7, 9])
@pytest.mark.parametrize("loss", [l1_loss, l2_loss, si_sdr_loss])
def test_shuffled_sources_are_found_again(sources, loss):
    reference = noise(3, sources, 2, 50)
    shuffle = torch.stack(
        [torch.randperm(sources, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    )
    reordered = torch.take_along_dim(reference, shuffle[..., None, None], 1)
    estimate = reordered + 0.1 * noise(3, sources, 2, 50, seed=1)
    kept = estimate.clone()
    value, order = permutation_invariant(estimate, reference, loss=loss)
    torch.testing.assert_close(order, shuffle.argsort(1))
    ordered = torch.take_along_dim(estimate, order[..., None, None], 1)
    torch.testing.assert_close(value, loss(ordered, reference))
    assert torch.equal(estimate, kept)


@pytest.mark.parametrize("sources", [3, 7])
def test_gradients_follow_the_best_order(sources):
    reference = noise(sources, 1, 4)
    estimate = noise(sources, 1, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: permutation_invariant(x, reference, loss=l2_loss)[0], (estimate,)
    )


def test_costs_that_are_not_finite_are_avoided():
    for sources in (3, 8):
        reference = noise(sources, 1, 5)
        estimate = reference.flip(0).clone()
        estimate[0] = torch.nan
        _, order = permutation_invariant(estimate, reference, loss=l1_loss)
        assert sorted(order.tolist()) == list(range(sources))
        assert order.tolist()[:-1] == list(range(sources))[:0:-1]


def test_reductions_and_errors():
    reference = noise(2, 3, 1, 6)
    each, order = permutation_invariant(reference, reference, loss=l1_loss, reduction="none")
    assert each.tolist() == [0, 0]
    assert order.tolist() == [[0, 1, 2]] * 2
    with pytest.raises(ParameterError, match="same shape"):
        permutation_invariant(reference, reference[:1], loss=l1_loss)
    with pytest.raises(ParameterError, match="leading axes"):
        permutation_invariant(reference, reference, loss=lambda e, s, reduction: (e - s).mean())
