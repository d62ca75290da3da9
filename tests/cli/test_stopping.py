"""Runs that are stopped in the middle: Ctrl-C, a kill, a reader that goes away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

STEMS = ("vocals", "drums", "bass", "other")
GOOD = sorted(f"good/{stem}.wav" for stem in STEMS)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and streams of POSIX")
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
    ("number", "workers"),
    [
        (signal.SIGINT, 1),
        (signal.SIGINT, 2),
        (signal.SIGTERM, 1),
        pytest.param(getattr(signal, "SIGHUP", None), 1, marks=posix),
    ],
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
    for left in Path("out").glob(".unweave-*"):
        assert number == signal.SIGKILL
        os.utime(left, (0, 0))  # it was not made a moment ago
    assert completed(separate, written)
    assert sys.platform == "win32" or not list(Path("out").rglob(".*"))


@posix
@pytest.mark.slow
def test_a_run_that_shall_outlive_its_terminal_does(shell, song, written):
    song("good.wav", seconds=0.1)
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}  # as nohup does
    process = shell("good.wav", "--shifts", "20", **ignored)
    await_files("out/.unweave-*", process=process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=300)[1] == b""
    assert process.returncode == 0
    assert written() == GOOD


@posix
@pytest.mark.slow
@pytest.mark.parametrize("closed", [(2,), (0, 1)])
def test_closed_streams_are_not_taken_by_files(tiny_model, song, written, closed):
    song("good.wav", seconds=0.1)
    words = ["separate", "--model", str(tiny_model), "-o", "out", "good.wav", "gone.wav"]
    command = [sys.executable, "-c", "from unweave.cli import main; main()", *words]
    process = subprocess.run(
        command,
        capture_output=True,
        preexec_fn=lambda: [os.close(number) for number in closed],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert process.returncode == 1
    assert written() == GOOD
    complaint = b"unweave: 'gone.wav' does not exist\n"
    assert process.stderr == (b"" if 2 in closed else complaint)
    assert (b"vocals" in process.stdout) == (1 not in closed)
    assert complaint not in process.stdout


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_run_in_one_line(shell, song):
    song("good.wav", seconds=0.1)
    process = shell("good.wav", "--json")
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(timeout=60) == 1
