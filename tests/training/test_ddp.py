"""Two processes learn what one does with batches of twice the size."""

import json
import os
import subprocess
import sys

import pytest
import torch

from unweave.training import ModelFolder, train
from unweave.training.checkpoints import load_state

# Statistics of a batch are a process's own on CPUs, so they are left out of the comparison.
FROZEN = """
import sys
import torch
from torch.nn import functional as F

def frozen(self, x):
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)

torch.nn.BatchNorm2d.forward = frozen
from unweave.cli import main
sys.argv[0] = "unweave"
main()
"""


def launched(folder, music, *words):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    script = folder.parent / "frozen.py"
    script.write_text(FROZEN)
    command += [str(script), "train", str(folder), str(music), "--json", *words]
    return subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch(model, music, monkeypatch):
    settings = {"dropout_p": 0.0, "max_epochs": 2, "max_num_samples": 16}
    two = model(name="two", batch_size=2, devices=2, strategy="ddp", **settings)
    told = launched(two, music)
    assert told.returncode == 0, told.stderr
    result = json.loads(told.stdout)  # one line of one process

    exec(FROZEN.split("from unweave.cli")[0], namespace := {})
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", namespace["frozen"])
    one = train(model(name="one", batch_size=4, **settings), music)
    assert (result["epochs"], result["steps"]) == (one.epochs, one.steps) == (2, 8)
    for ours, theirs in zip(one.history, result["history"], strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4)
    kept = [load_state(ModelFolder(path).last_checkpoint)["network"] for path in (two, one.folder)]
    for name, value in kept[0].items():
        torch.testing.assert_close(value, kept[1][name], rtol=1e-3, atol=1e-5)
    assert result["scores"][-1]["si_sdr"] == pytest.approx(one.scores[-1]["si_sdr"], abs=0.01)
    assert len(list((two / "runs").iterdir())) == 1  # the first process writes alone
