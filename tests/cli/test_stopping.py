"""Runs that are stopped in the middle: Ctrl-C, a kill, a reader that goes away."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

STEMS = ("vocals", "drums", "bass", "other")
GOOD = sorted(f"good/{stem}.wav" for stem in STEMS)
WITHIN_THE_LONG_ONE = ("out/good/other.wav", "out/.unweave-*")


def await_files(*patterns, process=None):
    """Wait until there is a file for each pattern."""
    end = time.monotonic() + 60
    while not all(any(Path().glob(pattern)) for pattern in patterns):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def long_run(song):
    song("good.wav", seconds=0.1)
    song("long.wav", seconds=8)
    return ["good.wav", "long.wav", "--shifts", "100", "--segment", "1"]


def completed(separate, written):
    told = separate("good.wav", "long.wav", "--skip-existing", "--json")
    found = {row["track"]: row["status"] for row in map(json.loads, told.out.splitlines())}
    return found == {"good": "skipped", "long": "ok"} and len(written()) == 8


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)]
)
def test_an_interrupted_run_leaves_whole_songs_and_can_be_completed(
    separate, long_run, written, number, workers
):
    def interrupt():
        await_files(*WITHIN_THE_LONG_ONE)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    told = separate(*long_run, "--workers", workers, code=130)
    thread.join()
    assert told.complaints == ["unweave: interrupted; finished files are kept"]
    assert written() == GOOD
    assert not list(Path("out").rglob(".*"))
    assert completed(separate, written)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_leaves_whole_songs_and_can_be_completed(
    separate, shell, long_run, written, number
):
    process = shell(*long_run)
    await_files(*WITHIN_THE_LONG_ONE, process=process)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert err == b"unweave: interrupted; finished files are kept\n"
    assert written() == GOOD
    assert completed(separate, written)


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_run_in_one_line(shell, song):
    song("good.wav", seconds=0.1)
    process = shell("good.wav", "--json")
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(timeout=60) == 1
