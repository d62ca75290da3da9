"""Many jobs in a few threads, each of which gets its share of the processors.

torch cuts every operation among its threads, which hardly pays for operations on blocks that fit
the cache: they are over before the threads have met, and where a processor is busy with something
else, each of them waits for it. `share` gives whole blocks to threads that use one processor each.
What a block gives does not depend on who works on it, so results are the same to the last bit on
one thread and on many.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")
_SHARE = 2**17  # numbers whose Fourier transforms are worth waking another thread
_LEAST = 2**15  # numbers from which on torch would cut operations among its own threads


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


def share(work: Callable[[Job], object], jobs: Sequence[Job], *, size: int) -> None:
    """Do jobs that write parts of a result, in as many threads as pay, up to torch's number.

    The threads see the caller's modes of inference and of gradients. Where torch has one thread, as
    in the workers of a data loader or inside another `share`, the caller does all jobs; where it
    has several, even a single job is done by a thread, which is faster than torch's own. A share
    within a share is its caller's work too, or threads could wait for each other.

    Args:
        work: Does one. What it raises ends all, once the jobs that have begun are done.
        jobs: The jobs, in any order; they must not depend on each other.
        size: Numbers that all jobs together work on.

    Example:
        >>> out = torch.zeros(3)
        >>> share(lambda i: out[i].fill_(i), range(3), size=2**20)
        >>> out
        tensor([0., 1., 2.])
    """
    if size < _LEAST or torch.compiler.is_compiling() or _has_modes() or _own.sharing:
        threads = 1
    else:
        threads = torch.get_num_threads()
    if threads == 1:
        for job in jobs:
            work(job)
        return
    inference, gradient = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    left = deque(jobs)

    def some() -> None:
        _own.sharing = True
        try:
            with torch.inference_mode(inference), torch.set_grad_enabled(gradient):
                while True:
                    try:
                        job = left.popleft()
                    except IndexError:
                        return
                    work(job)
        finally:
            left.clear()  # an error ends the other threads' work too
            _own.sharing = False

    pool = _WORKERS.pool(threads)
    futures = [pool.submit(some) for _ in range(min(threads, len(jobs), 1 + size // _SHARE))]
    try:
        for future in futures:
            # Where other callers keep the threads busy, some find nothing left to do.
            if left or not future.cancel():
                future.result()
    finally:
        left.clear()  # after Ctrl-C
        wait([future for future in futures if not future.cancel()])


def behind(work: Callable[[Job], object], jobs: Iterable[Job], *, ahead: int) -> None:
    """Do jobs one after another in a thread, while the next ones are being made.

    Where torch has one thread, the caller does them in between.

    Args:
        work: Does one. What it raises ends all, some jobs later.
        jobs: Makes the jobs, in the caller's thread.
        ahead: Jobs that may wait.

    Example:
        >>> done = []
        >>> behind(done.append, range(3), ahead=2)
        >>> done
        [0, 1, 2]
    """
    if torch.get_num_threads() == 1:
        for job in jobs:
            work(job)
        return
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="unweave-behind") as pool:
        try:
            for job in jobs:
                while waiting and (waiting[0].done() or len(waiting) >= ahead):
                    waiting.popleft().result()
                waiting.append(pool.submit(work, job))
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _has_modes() -> bool:
    """Tell whether something that only the caller's thread knows of watches its operations."""
    if torch.is_autocast_enabled("cpu"):
        return True
    # torch has no public question for these; the names have been there since torch 2.0.
    return bool(torch._C._len_torch_function_stack() or torch._C._len_torch_dispatch_stack())


class _Own(threading.local):
    """What each thread knows of itself."""

    sharing = False


class _Workers:
    """Threads for which torch's operations use one processor; they wait for ever for work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._size = 0

    def pool(self, size: int) -> ThreadPoolExecutor:
        """Give a pool of at least so many threads."""
        with self._lock:
            if self._pool is None or self._size < size:
                # Whoever still uses a smaller pool holds it; its threads end with it.
                self._pool, self._size = _single_threads(size), size
            return self._pool


def _single_threads(size: int) -> ThreadPoolExecutor:
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(size, thread_name_prefix="unweave")
    ready = threading.Barrier(size)

    def begin(_: int) -> None:
        torch.get_num_threads()  # or torch would set the number anew at the first operation
        torch.set_num_threads(1)
        ready.wait()  # so that no thread begins twice

    list(pool.map(begin, range(size)))
    torch.set_num_threads(threads)  # what threads yet to come will have
    return pool


def _forget() -> None:
    """Begin anew in a forked process, which has none of the threads."""
    global _WORKERS
    _WORKERS = _Workers()


_own = _Own()
_WORKERS = _Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
