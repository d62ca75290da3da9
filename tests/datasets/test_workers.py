"""Workers, ranks and epochs: nothing is made twice and nothing is left out."""

import pytest
import torch
from torch.utils.data import DataLoader

from unweave.datasets import AudioFolder
from unweave.datasets.passes import Passes, Share

TOTAL = 24


@pytest.fixture
def folder(dataset, cache):
    return AudioFolder(dataset(2), sample_length=0.1, samples_per_epoch=TOTAL, cache_dir=cache)


def keys(batches) -> list[bytes]:
    return [row.numpy().tobytes() for mixture, _ in batches for row in mixture]


def expected(folder: AudioFolder, epoch: int) -> set[bytes]:
    return {folder.excerpt(index, epoch=epoch)[0].numpy().tobytes() for index in range(TOTAL)}


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (0, {}),
        (2, {}),
        (2, {"persistent_workers": True}),
        pytest.param(
            2,
            {"persistent_workers": True, "multiprocessing_context": "spawn"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_workers_share_out_every_epoch_and_epochs_differ(folder, workers, words):
    loader = DataLoader(folder, batch_size=4, num_workers=workers, **words)
    assert len(loader) == 6
    first, second = keys(loader), keys(loader)
    assert len(first) == len(second) == TOTAL
    assert set(first) == expected(folder, 0)
    assert set(second) == expected(folder, 1)
    folder.set_epoch(7)  # reaches workers that are running
    assert set(keys(loader)) == expected(folder, 7)
    assert set(keys(loader)) == expected(folder, 8)


def test_an_endless_folder_has_no_length_and_leaves_nothing_out(dataset, cache):
    folder = AudioFolder(dataset(2), sample_length=0.1, cache_dir=cache)
    with pytest.raises(TypeError, match="never ends"):
        len(folder)
    loader = iter(DataLoader(folder, batch_size=10, num_workers=2))
    drawn = keys(next(loader) for _ in range(8))
    every = [folder.excerpt(index)[0].numpy().tobytes() for index in range(80)]
    assert sorted(drawn) == sorted(every)


def test_an_epoch_is_settled_when_it_begins(folder):
    one, two = iter(folder), iter(folder)
    assert torch.equal(next(one)[0], folder.excerpt(0, epoch=0)[0])
    assert torch.equal(next(two)[0], folder.excerpt(0, epoch=1)[0])


@pytest.mark.parametrize(("world", "workers", "total"), [(1, 1, 5), (2, 3, 13), (3, 2, 12)])
def test_shares_are_disjoint_and_of_one_size_for_all_ranks(world, workers, total):
    ranks = [
        [i for worker in range(workers) for i in Share(rank, world, worker, workers).indices(total)]
        for rank in range(world)
    ]
    assert {len(rank) for rank in ranks} == {total // world}
    together = sorted(i for rank in ranks for i in rank)
    assert together == list(range(total // world * world))


def test_ranks_by_the_environment(folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    drawn = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        folder.set_epoch(0)
        assert len(folder) == TOTAL // 2
        drawn += [mixture.numpy().tobytes() for mixture, _ in folder]
    assert len(drawn) == TOTAL
    assert set(drawn) == expected(folder, 0)


def test_a_broken_environment_is_one_rank(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    assert Passes().ranks == (0, 1)
    monkeypatch.setenv("RANK", "first")
    assert Passes().ranks == (0, 1)


def test_ranks_by_the_process_group_reach_spawned_workers(tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    distributed = torch.distributed
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        assert Passes().ranks == (0, 1)
        monkeypatch.setattr(distributed, "get_rank", lambda: 3)
        monkeypatch.setattr(distributed, "get_world_size", lambda: 4)
        state = Passes().__getstate__()
    finally:
        distributed.destroy_process_group()
    elsewhere = Passes.__new__(Passes)
    elsewhere.__dict__.update(state)
    assert elsewhere.ranks == (3, 4)


def test_validation_is_the_same_in_every_pass(folder, dataset, cache):
    validation = folder.split(0.5)
    loader = DataLoader(validation, batch_size=None, num_workers=2)
    passes = [sorted(x.numpy().tobytes() for x, _ in loader) for _ in range(2)]
    assert passes[0] == passes[1]
    assert len(passes[0]) == len(validation) == 20
    root = dataset(1, subset="val", name="other")
    fixed = AudioFolder(root, subset="val", sample_length=0.1, cache_dir=cache)
    assert torch.equal(next(iter(fixed))[0], next(iter(fixed))[0])
