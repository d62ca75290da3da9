import math

import pytest
import torch

from unweave.models import load_weights
from unweave.models.bandmask import BandMaskNet
from unweave.separation import Separator
from unweave.training.recipe.evaluate import evaluate, find_songs, low_pass, score_song
from unweave.training.recipe.export import export


class Quarter(BandMaskNet):
    """Gives every stem a quarter of the mixture."""

    def forward(self, mixture):
        return mixture[:, None].expand(-1, 4, -1, -1) / 4


def test_low_pass_keeps_what_lies_below_and_halves_the_power_at_its_cutoff():
    time = torch.arange(44100, dtype=torch.float64) / 44100
    for frequency, kept in ((20, 0.0), (100, -3.01), (400, -48.2)):
        tone = torch.sin(2 * math.pi * frequency * time)
        gain = 10 * torch.log10(low_pass(tone, 100).square().sum() / tone.square().sum())
        assert float(gain) == pytest.approx(kept, abs=0.1)


def test_scores_of_a_quarter_are_the_baseline(corpus):
    separator = Separator(Quarter(widths=(4, 4, 4), recurrent=8), device="cpu")
    rows = dict(score_song(corpus / "songs" / "one", separator))
    assert set(rows) == {"vocals", "drums", "bass", "other", "accompaniment"}
    for row in rows.values():
        assert row["SDR"] == pytest.approx(row["mixture/4"], abs=0.01)
        assert row["SI-SDR"] == pytest.approx(row["SI-SDR mixture"], abs=0.01)
    # The only thing below 80 Hz is the bass, so a filter finds it.
    assert rows["bass"]["low-pass"] > 10 > rows["bass"]["mixture"]


def test_songs_are_found_at_any_depth(corpus):
    found = {path.name for path in find_songs([corpus])}
    assert found == {"one", "two", "held-out"}
    assert find_songs([corpus / "songs" / "two"]) == [corpus / "songs" / "two"]


@pytest.mark.slow
def test_exported_weights_score_from_the_shell(corpus, tmp_path, capsys):
    from safetensors.torch import save_file

    net = BandMaskNet()
    save_file(net.state_dict(), tmp_path / "best.safetensors", metadata={"step": "7"})
    export([tmp_path / "best.safetensors"] * 2, tmp_path / "model.safetensors")
    loaded = load_weights(tmp_path / "model.safetensors")
    assert len(loaded.members) == 2
    for member in loaded.members:
        for name, tensor in net.members[0].state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
    evaluate([corpus / "songs" / "one"], str(tmp_path / "model.safetensors"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[-5:]] == [
        "vocals",
        "drums",
        "bass",
        "other",
        "accompaniment",
    ]
