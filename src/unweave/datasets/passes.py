"""Which excerpts are whose: of this rank, this worker, this pass."""

import os
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

_SLOTS = 256


def rank_and_world() -> tuple[int, int] | None:
    """Give the rank of this process and the number of ranks, or None where nothing tells them.

    Returns:
        Those of torch.distributed if it is initialised, else those of the environment.
    """
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return None


class Passes:
    """Count the passes through a data set, in memory that its workers share.

    Workers count for themselves which pass they begin, so that no pass repeats another, whether
    workers live on (persistent_workers) or are started anew.

    Args:
        fixed: Whether all passes are alike.
    """

    def __init__(self, fixed: bool = False) -> None:
        self.fixed = fixed
        self._ranks: tuple[int, int] | None = None
        self._state = torch.zeros(1 + _SLOTS, dtype=torch.int64)
        self._state.share_memory_()  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, object]:
        # spawned workers know nothing of the process group
        return {**self.__dict__, "_ranks": self.ranks}

    @property
    def ranks(self) -> tuple[int, int]:
        """Rank of this process, and number of ranks."""
        return rank_and_world() or self._ranks or (0, 1)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass comes next.

        Args:
            epoch: Its number.
        """
        self._state[0] = epoch
        self._state[1:] = 0

    def begin(self) -> tuple[int, "Share"]:
        """Begin a pass.

        Returns:
            Its epoch, and which excerpts of it are to be made by this process.
        """
        rank, world = self.ranks
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        epoch = int(self._state[0])
        if not self.fixed:
            slot: Tensor = self._state[1 + worker % _SLOTS]
            epoch += int(slot)
            slot += 1
        return epoch, Share(rank, world, worker, workers)


class Share:
    """The excerpts of one worker of one rank.

    Args:
        rank: Of this process.
        world: Number of ranks.
        worker: Of this process within the rank.
        workers: Of each rank.
    """

    def __init__(self, rank: int, world: int, worker: int, workers: int) -> None:
        self._first, self._world = rank, world
        self._worker, self._workers = worker, workers

    def indices(self, total: int | None) -> Iterator[int]:
        """Give the indices of its excerpts.

        Args:
            total: Excerpts of the pass over all ranks; what does not divide by their number is
                left out, so that all have the same number. None never ends.

        Example:
            >>> list(Share(1, 2, 0, 2).indices(8))  # rank 1 of 2, worker 0 of 2
            [1, 5]
        """
        end = None if total is None else total // self._world
        index = self._worker
        while end is None or index < end:
            yield self._first + self._world * index
            index += self._workers
