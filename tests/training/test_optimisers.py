"""Optimisers, the learning rate's schedule, and when training stops."""

import math

import pytest
import torch
from torch import nn

from unweave.training import Config
from unweave.training.optimisers import Schedule, build_optimizer, working_precision


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.line, self.memory = nn.Linear(2, 3), nn.LSTM(3, 4)


def config(**settings):
    return Config().changed(**settings)


def made(total_steps=100, **settings):
    optimizer = build_optimizer(Net(), config(**settings))
    return optimizer, Schedule(optimizer, config(**settings), total_steps=total_steps)


def rate(optimizer):
    return optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("nadam", torch.optim.NAdam),
        ("radam", torch.optim.RAdam),
        ("rmsprop", torch.optim.RMSprop),
        ("sgd", torch.optim.SGD),
    ],
)
def test_optimisers_are_those_of_torch(name, kind):
    network = Net()
    optimizer = build_optimizer(network, config(optimizer=name, lr=0.3, momentum=0.8))
    assert type(optimizer) is kind
    assert {group["lr"] for group in optimizer.param_groups} == {0.3}
    if name in ("rmsprop", "sgd"):
        assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
    given = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(given) == len(list(network.parameters()))
    assert {id(p) for p in given} == {id(p) for p in network.parameters()}


def test_recurrent_layers_may_have_a_rate_of_their_own_and_biases_do_not_decay():
    network = Net()
    optimizer = build_optimizer(network, config(lr=0.1, lr_lstm=0.01, weight_decay=0.2))
    found = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert found[id(network.line.weight)] == (0.1, 0.2)
    assert found[id(network.line.bias)] == (0.1, 0)
    assert found[id(network.memory.weight_hh_l0)] == (0.01, 0.2)
    assert found[id(network.memory.bias_hh_l0)] == (0.01, 0)


def test_cosine_after_warm_up():
    optimizer, schedule = made(50, schedule="cosine", lr=2.0, warmup_steps=10, min_lr_share=0.1)
    rates = []
    for _ in range(60):
        rates.append(rate(optimizer))
        schedule.step()
    assert rates[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    for step in range(10, 50):
        half = (1 + math.cos(math.pi * (step - 10) / 40)) / 2
        assert rates[step] == pytest.approx(2 * (0.1 + 0.9 * half))
    assert rates[50:] == pytest.approx([0.2] * 10)


def test_every_group_keeps_its_share():
    optimizer, schedule = made(10, schedule="cosine", lr=1.0, lr_lstm=0.1)
    for _ in range(5):
        schedule.step()
    rates = sorted({group["lr"] for group in optimizer.param_groups})
    assert rates == pytest.approx([0.1 * schedule.factor, schedule.factor])


def test_a_plateau_lowers_the_rate_a_few_times():
    optimizer, schedule = made(
        lr=1.0, lr_patience=1, lr_factor=0.1, max_lr_steps=2, stop_patience=100
    )
    rates = []
    for _ in range(8):
        assert schedule.epoch(5.0) is False
        rates.append(rate(optimizer))
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01])
    schedule.epoch(4.0)
    assert rate(optimizer) == pytest.approx(0.01)


def test_training_stops_when_nothing_gets_better():
    _, schedule = made(stop_patience=2, min_delta=0.5)
    told = [schedule.epoch(loss) for loss in (3.0, 2.0, 1.8, 1.0, 0.9, math.nan)]
    assert told == [False, False, False, False, False, True]
    assert schedule.best == 1.0
    _, constant = made(schedule="constant", stop_patience=3)
    assert [constant.epoch(math.nan) for _ in range(3)] == [False, False, True]


def test_it_goes_on_from_a_state():
    settings = {"lr": 1.0, "lr_patience": 0, "warmup_steps": 4, "stop_patience": 5}
    optimizer, schedule = made(**settings)
    for _ in range(3):
        schedule.step()
    for loss in (2.0, 3.0):
        schedule.epoch(loss)
    other_optimizer, other = made(**settings)
    other.load_state_dict(schedule.state_dict())
    assert other.best == 2.0
    assert rate(other_optimizer) == rate(optimizer) == 0.5
    schedule.step()
    other.step()
    assert rate(other_optimizer) == rate(optimizer)


def test_a_cosine_begins_anew_without_a_second_warm_up():
    settings = {"schedule": "cosine", "lr": 1.0, "warmup_steps": 5, "min_lr_share": 0}
    _, schedule = made(20, **settings)
    for _ in range(20):
        schedule.step()
    optimizer, other = made(10, **settings)
    other.load_state_dict(schedule.state_dict())
    rates = []
    for _ in range(10):
        rates.append(rate(optimizer))
        other.step()
    assert rates == pytest.approx([(1 + math.cos(math.pi * n / 10)) / 2 for n in range(10)])


def test_states_are_plain_numbers(tmp_path):
    _, schedule = made()
    schedule.epoch(1.0)
    torch.save(schedule.state_dict(), tmp_path / "s.pt")
    assert torch.load(tmp_path / "s.pt", weights_only=True) == schedule.state_dict()


@pytest.mark.parametrize(
    ("settings", "device", "expected"),
    [
        ({}, "cpu", "32"),
        ({"precision": "bf16"}, "cpu", "bf16"),
        ({"precision": "fp16"}, "cuda", "fp16"),
        ({"precision": "bf16", "use_mixed_precision": False}, "cuda", "32"),
        ({"precision": "32"}, "cuda", "32"),
    ],
)
def test_precision_follows_the_device_unless_it_is_said(settings, device, expected):
    assert working_precision(config(**settings), torch.device(device)) == expected
