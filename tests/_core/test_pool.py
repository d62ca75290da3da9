"""Jobs in threads."""

import threading

import pytest
import torch

from unweave._core.pool import in_threads


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers):
    assert sorted(in_threads(lambda job: job * job, range(7), workers=workers)) == [
        job * job for job in range(7)
    ]


def test_jobs_are_done_at_once():
    both = threading.Barrier(2, timeout=20)
    assert len(list(in_threads(lambda _: both.wait(), [1, 2], workers=2))) == 2


def test_threads_share_the_processors_and_give_them_back():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        seen = list(in_threads(lambda _: torch.get_num_threads(), [1, 2, 3, 4], workers=2))
        assert seen == [2] * 4
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_closing_drops_what_has_not_begun():
    begun = []
    results = in_threads(begun.append, range(100), workers=1)
    next(results)
    results.close()
    assert begun == [0]
    go, seen = threading.Event(), []

    def work(job):
        seen.append(job)
        return job if job == 0 else go.wait(20)

    results = in_threads(work, range(100), workers=2)
    assert next(results) == 0
    threading.Timer(0.1, go.set).start()
    results.close()
    assert len(seen) < 100


def test_an_error_ends_all():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda job: 1 // job, [0, 1], workers=2))
