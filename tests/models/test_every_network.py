"""What must hold for every plain network."""

import copy
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

spec = importlib.util.spec_from_file_location(
    "models_networks", Path(__file__).parent / "networks.py"
)
networks = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = networks
spec.loader.exec_module(networks)
CASES = networks.CASES
VARIATIONAL = [name for name in CASES if "VAE" in name]


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def moved(case):
    """A network whose statistics are not those it starts with, in evaluation mode."""
    torch.manual_seed(0)
    net = case.build().train()
    with torch.no_grad():
        for seed in range(3):
            net(case.inputs(45, seed=seed))
    return net.eval()


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 100])
def test_any_length_comes_back(case, moved, length):
    length = length if case.spectral else 41 * length
    mixture = case.inputs(length)
    before = mixture.clone()
    with torch.no_grad():
        answer = moved(mixture)
    assert answer.shape == mixture.shape
    assert bool(torch.isfinite(answer).all())
    assert torch.equal(mixture, before)
    if case.masks:
        assert 0 <= float(answer.min()) <= float(answer.max()) <= 1


def test_every_parameter_has_a_gradient(case):
    torch.manual_seed(0)
    net = case.build().train()
    mixture = case.inputs(70).requires_grad_()
    net(mixture).square().mean().backward()
    assert float(mixture.grad.abs().max()) > 0
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_gradients_on_silence_are_finite(case):
    net = case.build().train()
    mixture = torch.zeros_like(case.inputs(70)).requires_grad_()
    net(mixture).square().mean().backward()
    assert bool(torch.isfinite(mixture.grad).all())
    for name, parameter in net.named_parameters():
        assert bool(torch.isfinite(parameter.grad).all()), name


def excerpt(case):
    """A mixture of two sources that are easily told apart, and one of them."""
    if case.spectral:
        mixture = case.inputs(40, batch=1)
        share = torch.zeros(networks.BINS, 40)
        share[5:15] = 1
        share[:, 25:30] = 1
        return mixture, mixture * share
    time = torch.arange(1300) / 1300
    low, high = torch.sin(2 * torch.pi * 20 * time), torch.sin(2 * torch.pi * 90 * time)
    sides = torch.tensor([[1.0], [0.7]])
    return ((low + high) * sides)[None], (low * sides)[None]


def test_it_learns_one_excerpt(case):
    torch.manual_seed(0)
    net = case.build().train()
    mixture, target = excerpt(case)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (case.estimate(net, mixture) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if losses[-1] < losses[0] / 10:
            return
    pytest.fail(f"the loss fell from {losses[0]:.3g} to {losses[-1]:.3g} only")


def test_saved_and_loaded_it_gives_the_same(case, moved, tmp_path):
    mixture = case.inputs(45)
    save_file(moved.state_dict(), tmp_path / "net.safetensors")
    other = case.build().eval()
    with torch.no_grad():
        assert not torch.equal(other(mixture), moved(mixture))
        other.load_state_dict(load_file(tmp_path / "net.safetensors"))
        assert torch.equal(other(mixture), moved(mixture))


def test_items_of_a_batch_do_not_hear_of_each_other(case, moved):
    """In evaluation: while training, batch normalisation is over the batch by its nature."""
    mixture = case.inputs(100, batch=3)
    changed = mixture.clone()
    changed[1:] = case.inputs(100, batch=2, seed=1)
    with torch.no_grad():
        together, others, alone = moved(mixture), moved(changed), moved(mixture[:1])
    assert torch.allclose(together[0], others[0], atol=1e-6)
    assert torch.allclose(together[:1], alone, atol=1e-5)
    assert float((together[1] - others[1]).abs().max()) > 1e-5


def test_recurrent_layers_do_not_mix_the_batch_while_training(case):
    net = case.build().train()
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    mixture = case.inputs(100, batch=3).requires_grad_()
    net(mixture)[0].square().sum().backward()
    assert float(mixture.grad[0].abs().max()) > 0
    assert float(mixture.grad[1:].abs().max()) == 0


def test_evaluation_is_deterministic(case, moved):
    mixture = case.inputs(45)
    with torch.no_grad():
        assert torch.equal(moved(mixture), moved(mixture))


def test_double_precision_agrees_and_half_is_near(case, moved):
    mixture = case.inputs(45)
    with torch.no_grad():
        single = moved(mixture)
        double = copy.deepcopy(moved).double()(mixture.double())
        half = copy.deepcopy(moved).bfloat16()(mixture.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            mixed = moved(mixture)
    assert double.dtype == torch.float64
    assert half.dtype == torch.bfloat16
    assert float((double - single).norm()) < 1e-4 * float(double.norm())
    assert float((half - single).norm()) < 0.1 * float(single.norm())
    assert float((mixed - single).norm()) < 0.1 * float(single.norm())


@pytest.mark.parametrize("name", VARIATIONAL)
def test_variational_networks_give_their_latent_variable(name):
    case = CASES[name]
    torch.manual_seed(0)
    net = case.build()
    mixture = case.inputs(70)
    first, mu, sigma = net(mixture, return_latent=True)
    assert mu.shape == sigma.shape
    assert bool((sigma > 0).all())
    assert not torch.equal(first, net(mixture)), "nothing was drawn"
    net.eval()
    with torch.no_grad():
        answer, mu, _ = net(mixture, return_latent=True)
        assert torch.equal(answer, net(mixture))
        assert torch.equal(mu, net(mixture, return_latent=True)[1])


@pytest.mark.parametrize("name", VARIATIONAL)
def test_the_kullback_leibler_term_reaches_the_encoder(name):
    case = CASES[name]
    net = case.build()
    _, mu, sigma = net(case.inputs(70), return_latent=True)
    (mu**2 + sigma**2 - (sigma**2).log() - 1).mean().backward()
    assert float(net.latent.log_sigma.weight.grad.abs().max()) > 0
    assert net.encoder.levels[0][0].weight.grad is not None


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].masks])
@pytest.mark.parametrize("activation", ["relu", "hardtanh", "tanh", "prelu", "selu", "elu"])
def test_masks_stay_in_their_range(name, activation):
    case = CASES[name]
    net = case.build(mask_act_fn=activation)
    mask = net(case.inputs(40))
    assert bool(((mask >= 0) & (mask <= 1)).all())
    mask.sum().backward()
    assert float(net.encoder.levels[0][0].weight.grad.abs().max()) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes self")  # torch, of its own LSTM
def test_it_is_exported_for_inputs_of_one_size(case):
    """Sizes stay those of the example: torch unrolls LSTMs over as many steps."""
    mixture = case.inputs(33 if case.spectral else 1500)
    net = case.build().eval()  # that has never run
    with torch.no_grad():
        exported = torch.export.export(net, (mixture,)).module()
        assert torch.allclose(exported(mixture), net(mixture), atol=1e-6)
