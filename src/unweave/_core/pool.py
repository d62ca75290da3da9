"""Many jobs in a few threads, each of which gets its share of the processors."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int
) -> Generator[Result]:
    """Do jobs at once.

    Args:
        work: Does one; what it raises ends all.
        jobs: The jobs.
        workers: How many are done at once.

    Returns:
        The results, as soon as they are there. Closing the generator drops the jobs that have not
        begun.

    Example:
        >>> sorted(in_threads(abs, [-1, 2, -3], workers=2))
        [1, 2, 3]
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    workers = min(workers, len(jobs))
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(
        workers,
        # Threads share the processors; more of them than processors would only be in the way.
        initializer=torch.set_num_threads,
        initargs=(max(1, threads // workers),),
    ) as pool:
        waiting: set[Future[Result]] = {pool.submit(work, job) for job in jobs}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)
