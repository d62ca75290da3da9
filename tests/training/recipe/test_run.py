import json

import pytest
from safetensors.torch import load_file

from unweave.training.recipe.mixing import MixConfig
from unweave.training.recipe.pool import PoolConfig
from unweave.training.recipe.run import RunConfig, run


def config(steps):
    return RunConfig(
        steps=steps,
        validate_every=4,
        leave_out=("held-out",),
        network={"widths": (4, 4, 4), "recurrent": 8},
        pool=PoolConfig(frames=16, singles=3, songs=2),
        mix=MixConfig(batch_size=2),
        learning_rate=1e-2,
    )


@pytest.mark.slow
def test_a_run_learns_saves_and_resumes(corpus, tmp_path):
    held_out = corpus / "songs" / "held-out"
    output = tmp_path / "run"
    run(corpus, [held_out], output, config(8))
    run(corpus, [held_out], output, config(12))
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [4, 8, 12]
    assert log[-1]["loss"] < log[0]["loss"]
    assert set(log[0]["sdr"]["held-out"]) == {"vocals", "drums", "bass", "other", "accompaniment"}
    assert load_file(output / "best.safetensors")
    assert not list(output.glob("*.part"))
