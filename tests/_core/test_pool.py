"""Jobs in threads."""

import os
import threading
from concurrent.futures import Future

import pytest
import torch

from unweave._core import pool
from unweave._core.pool import behind, in_threads, share

LARGE = 2**30  # numbers that are worth all threads


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers):
    assert sorted(in_threads(lambda job: job * job, range(7), workers=workers)) == [
        job * job for job in range(7)
    ]


def test_jobs_are_done_at_once():
    both = threading.Barrier(2, timeout=20)
    assert len(list(in_threads(lambda _: both.wait(), [1, 2], workers=2))) == 2


def test_threads_share_the_processors_and_give_them_back():
    torch.set_num_threads(4)
    seen = list(in_threads(lambda _: torch.get_num_threads(), [1, 2, 3, 4], workers=2))
    assert seen == [2] * 4
    assert torch.get_num_threads() == 4


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


def test_shared_jobs_are_done_once_each_by_threads_of_one_processor(two_threads):
    seen, both = [], threading.Barrier(2, timeout=20)

    def work(job):
        if job < 2:
            both.wait()
        seen.append((job, torch.get_num_threads(), threading.current_thread().name))

    share(work, range(10), size=LARGE)
    assert sorted(job for job, _, _ in seen) == list(range(10))
    assert {threads for _, threads, _ in seen} == {1}
    assert len({name for _, _, name in seen}) == 2
    assert torch.get_num_threads() == 2
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.parametrize(("threads", "size"), [(1, LARGE), (2, 1000)])
def test_small_work_and_single_threads_share_nothing(threads, size):
    torch.set_num_threads(threads)
    names = []
    share(lambda _: names.append(threading.current_thread()), range(4), size=size)
    assert set(names) == {threading.current_thread()}


def test_a_share_within_a_share_starts_no_threads(two_threads):
    names = {}

    def outer(job):
        share(lambda i: names.setdefault((job, i), threading.get_ident()), range(4), size=LARGE)
        assert {names[job, i] for i in range(4)} == {threading.get_ident()}

    share(outer, range(6), size=LARGE)
    assert len(names) == 24


def test_a_share_within_a_share_never_waits_for_itself(two_threads):
    """Whatever number of threads work sets for itself."""

    def outer(job):
        torch.set_num_threads(2)
        try:
            share(inner.append, range(4), size=LARGE)
        finally:
            torch.set_num_threads(1)

    inner = []
    sharing = threading.Thread(target=lambda: share(outer, range(6), size=LARGE), daemon=True)
    sharing.start()
    sharing.join(20)
    assert sorted(inner) == sorted(list(range(4)) * 6)


def test_an_error_ends_a_share_once_all_have_stopped(two_threads):
    running, begun = set(), []

    def work(job):
        running.add(job)
        begun.append(job)
        try:
            if job == 3:
                raise ZeroDivisionError("job 3")
            threading.Event().wait(0.01)
        finally:
            running.discard(job)

    with pytest.raises(ZeroDivisionError, match="job 3"):
        share(work, range(200), size=LARGE)
    assert not running
    assert len(begun) < 200
    share(begun.append, ["again", "again"], size=LARGE)
    assert begun[-2:] == ["again", "again"]


def test_interrupting_a_share_leaves_nothing_running(two_threads, monkeypatch):
    begun, done = threading.Event(), []
    real = pool._WORKERS.pool(2)

    class Interrupted(Future):
        def result(self, timeout=None):
            begun.wait(20)
            raise KeyboardInterrupt

    class Pool:
        def submit(self, some):
            future = real.submit(some)
            future.__class__ = Interrupted
            futures.append(future)
            return future

    def work(job):
        begun.set()
        threading.Event().wait(0.01)
        done.append(job)

    futures = []
    monkeypatch.setattr(pool._WORKERS, "pool", lambda _: Pool())
    with pytest.raises(KeyboardInterrupt):
        share(work, range(500), size=LARGE)
    assert all(future.done() for future in futures)
    assert len(done) < 500


def test_a_caller_whose_work_is_done_waits_for_no_thread(two_threads):
    go, begun, seen = threading.Event(), threading.Event(), []

    def occupy(_):
        begun.set()
        go.wait(20)

    other = threading.Thread(target=share, args=(occupy, [1]), kwargs={"size": LARGE})
    other.start()
    begun.wait(20)
    share(seen.append, range(3), size=LARGE)
    go.set()
    other.join(20)
    assert sorted(seen) == [0, 1, 2]


@pytest.mark.parametrize("inference", [False, True])
def test_threads_have_the_modes_of_the_caller(two_threads, inference):
    seen = set()
    mode = torch.inference_mode() if inference else torch.no_grad()
    with mode:
        share(
            lambda _: seen.add((torch.is_inference_mode_enabled(), torch.is_grad_enabled())),
            range(4),
            size=LARGE,
        )
    assert seen == {(inference, False)}


def test_what_watches_the_caller_sees_every_operation(two_threads):
    from torch.utils.flop_counter import FlopCounterMode

    a = torch.ones(8, 8)
    with FlopCounterMode(display=False) as counter:
        share(lambda _: a @ a, range(4), size=LARGE)
    assert counter.get_total_flops() == 4 * 2 * 8**3


def test_concurrent_callers_share_the_threads(two_threads):
    out = torch.zeros(4, 50)

    def caller(row):
        torch.set_num_threads(2)
        share(lambda i: out[row, i].fill_(row + i), range(50), size=LARGE)

    callers = [threading.Thread(target=caller, args=(row,)) for row in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(20)
    assert torch.equal(out, torch.arange(4)[:, None] + torch.arange(50.0))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(two_threads):
    share(abs, range(4), size=LARGE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        names = []
        share(lambda _: names.append(threading.current_thread().name), range(4), size=LARGE)
        os.write(write, str(len(names)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "4"
    os.waitpid(child, 0)


def test_what_is_behind_keeps_its_order_and_its_distance(two_threads):
    made, done, go = [], [], threading.Event()

    def work(job):
        go.wait(20)
        assert threading.current_thread() is not threading.main_thread()
        done.append(job)

    def jobs():
        for job in range(20):
            made.append(job)
            if len(made) == 5:  # four wait, or three and one that has begun
                assert not done
                go.set()
            yield job

    behind(work, jobs(), ahead=4)
    assert done == made == list(range(20))


def test_an_error_behind_ends_the_making(two_threads):
    made = []

    def jobs():
        for job in range(1000):
            made.append(job)
            yield job

    with pytest.raises(ZeroDivisionError):
        behind(lambda job: 1 // (job - 3), jobs(), ahead=4)
    assert len(made) < 20


def test_an_error_of_the_making_drops_what_has_not_begun(two_threads):
    def jobs():
        yield from range(5)
        raise KeyError("made")

    done, go = [], threading.Event()
    threading.Timer(0.1, go.set).start()
    with pytest.raises(KeyError, match="made"):
        behind(lambda job: (go.wait(20), done.append(job)), jobs(), ahead=9)
    assert done == [0]
