"""A tiny model, songs, and the command line within this process and in one of its own."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.cli import main
from unweave.models import save_weights
from unweave.models.bandmask import BandMaskNet


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    sizes = {"widths": [4, 4, 4], "recurrent": 8}
    torch.manual_seed(0)
    save_weights(
        path, BandMaskNet(widths=(4, 4, 4), recurrent=8), architecture="bandmask", config=sizes
    )
    return path


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("UNWEAVE_DEVICE", "FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def song() -> Callable[..., Path]:
    """Write noise to a file."""

    def make(
        path: str | Path = "song.wav",
        *,
        seconds: float = 0.3,
        rate: int = 44100,
        channels: int = 2,
        level: float = 0.1,
    ) -> Path:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = torch.Generator().manual_seed(len(path.name))
        noise = torch.randn(channels, round(seconds * rate), generator=generator)
        audio.write(path, level * noise, rate)
        return path

    return make


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run `unweave` in this process and check its exit code."""

    def command(*words: str | Path, code: int = 0) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["unweave", *map(str, words)])
        capsys.readouterr()
        numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {number: signal.getsignal(number) for number in numbers}
        with pytest.raises(SystemExit) as leaving:
            main()
        for number, handler in before.items():
            signal.signal(number, handler)
        outcome = Outcome(*capsys.readouterr())
        assert leaving.value.code == code, outcome
        assert "--debug" in words or "Traceback" not in outcome.err
        return outcome

    return command


@pytest.fixture
def separate(run: Callable[..., Outcome], tiny_model: Path) -> Callable[..., Outcome]:
    """Run `unweave separate` with the tiny model into the folder `out`."""

    def command(*words: str | Path, code: int = 0) -> Outcome:
        return run(
            "separate", "--model", tiny_model, "--device", "cpu", "-o", "out", *words, code=code
        )

    return command


@pytest.fixture
def shell(tiny_model: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start `unweave separate` as a process of its own, with the tiny model into `out`."""

    def start(*words: str | Path, **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from unweave.cli import main; main()", "separate"]
        command += ["--model", str(tiny_model), "--device", "cpu", "-o", "out", *map(str, words)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, **{"env": environment} | pipes | options)

    return start


@pytest.fixture
def written() -> Callable[..., list[str]]:
    """List the visible files below a folder."""

    def search(folder: str | Path = "out") -> list[str]:
        folder = Path(folder)
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return sorted(
            path.as_posix() for path in found if not any(part[0] == "." for part in path.parts)
        )

    return search


@pytest.fixture
def terminal() -> Callable[[], io.StringIO]:
    """Make a stream that says it is a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return Terminal
