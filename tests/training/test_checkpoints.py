"""States on disk: whole or not there, never code, one training at a time."""

import pickle
import resource
import signal
import subprocess
import sys
import zipfile

import pytest
import torch

from unweave.errors import UnweaveError, WeightsError
from unweave.training.checkpoints import load_state, locked, save_state, sweep

STATE = {"epoch": 3, "loss": 0.5, "weights": {"a": torch.arange(3.0)}, "kept": [torch.ones(2)]}


class Evil:
    """Would run code when it is unpickled."""

    def __reduce__(self):
        return (print, ("code was run",))


def test_a_state_comes_back(tmp_path):
    save_state(tmp_path / "last.ckpt", STATE)
    found = load_state(tmp_path / "last.ckpt")
    assert found["epoch"] == 3
    assert torch.equal(found["weights"]["a"], STATE["weights"]["a"])
    assert set(found) == set(STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def written(kind, path):
    if kind == "missing":
        return
    if kind == "text":
        path.write_text("no state at all")
        return
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps(Evil()))
        return
    save_state(path, STATE)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "evil":
        torch.save({"format": "unweave.training 1", "state": Evil()}, path)
    elif kind == "foreign":
        torch.save({"pytorch-lightning_version": "2.6"}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "newer":
        torch.save({"format": "unweave.training 2"}, path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a", "b")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", "no such file"),
        ("text", "is damaged or no training state"),
        ("plain pickle", "is damaged or no training state"),
        ("cut", "is damaged"),
        ("evil", "could run code"),
        ("foreign", "another program"),
        ("list", "another program"),
        ("newer", "update unweave"),
        ("zip", "is damaged"),
    ],
)
def test_what_is_no_state_is_refused_in_one_line(tmp_path, capsys, kind, told):
    written(kind, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match=told) as failure:
        load_state(tmp_path / "last.ckpt")
    assert "\n" not in str(failure.value)
    assert "last.ckpt" in str(failure.value)
    assert capsys.readouterr().out == ""


@pytest.fixture
def small_disk():
    """Let files grow to a few kilobytes only."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_leaves_the_old_state(tmp_path, small_disk):
    path = tmp_path / "last.ckpt"
    save_state(path, STATE)
    with pytest.raises(UnweaveError, match=r"cannot write .*last\.ckpt.* is kept"):
        save_state(path, {"weights": torch.zeros(10_000)})
    assert load_state(path)["epoch"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UnweaveError, match="no such file or directory"):
        save_state(tmp_path / "gone" / "last.ckpt", STATE)


HOLD = """
import sys
from pathlib import Path
from unweave.training.checkpoints import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_no_two_processes_train_a_model(tmp_path):
    folder = tmp_path / "my_model" / "checkpoint"
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UnweaveError, match="my_model' is being trained"), locked(folder):
            pass
        other.kill()
    with locked(folder):  # a killed process does not keep it
        assert (folder / ".lock").exists()


def test_only_what_is_half_written_is_swept_away(tmp_path):
    kept = ["last.ckpt", "best.safetensors", ".lock", "mine.part"]
    for name in [*kept, ".last.ckpt.part-12ab", ".best.safetensors.part-3"]:
        (tmp_path / name).touch()
    (tmp_path / ".weights-abc").mkdir()
    (tmp_path / ".weights-abc" / "best.safetensors").touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
