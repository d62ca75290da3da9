"""Work folders: removed at their end, and by the next run where their process was killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from unweave.separation import workfolder
from unweave.separation.workfolder import remove_leftovers, work_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks of folders are POSIX")


def aged(path):
    old = time.time() - 3600
    os.utime(path, (old, old))
    return path


def hidden(folder):
    return sorted(path.name for path in folder.glob(".*"))


def test_a_work_folder_lasts_as_long_as_its_block(tmp_path):
    with work_folder(tmp_path) as place:
        (place / "part").write_bytes(b"x")
        assert hidden(tmp_path) == [place.name]
    assert hidden(tmp_path) == []


def test_a_folder_in_use_is_left_alone_however_old(tmp_path):
    with work_folder(tmp_path) as place:
        aged(place)
        assert remove_leftovers(tmp_path) == []
        assert place.is_dir()


@posix
def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from unweave.separation.workfolder import work_folder\n"
        "with work_folder(Path(sys.argv[1])) as place:\n"
        "    (place / 'part').write_bytes(b'x'); print(place, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        place = tmp_path / process.stdout.readline().strip()
        aged(place)
        assert remove_leftovers(tmp_path) == []
        process.send_signal(signal.SIGKILL)
    assert (place / "part").exists()
    assert remove_leftovers(tmp_path) == [place]
    assert hidden(tmp_path) == []


@posix
def test_new_foreign_and_visible_folders_are_left_alone(tmp_path):
    (tmp_path / f"{workfolder._prefix()}new").mkdir()
    aged(tmp_path / f"{workfolder._prefix()}new").touch()  # now it is young again
    for name in (".unweave-elsewhere-abc", ".unweave", "song", ".git"):
        (tmp_path / name).mkdir()
        aged(tmp_path / name)
    (tmp_path / f"{workfolder._prefix()}file").write_text("kept")
    aged(tmp_path / f"{workfolder._prefix()}file")
    (tmp_path / f"{workfolder._prefix()}link").symlink_to(tmp_path / "song")
    before = sorted(tmp_path.iterdir())
    assert remove_leftovers(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(workfolder, "fcntl", None)
    place = tmp_path / f"{workfolder._prefix()}abc"
    place.mkdir()
    aged(place)
    assert remove_leftovers(tmp_path) == []
    with work_folder(tmp_path) as other:
        assert other.is_dir()
    assert place.is_dir()
