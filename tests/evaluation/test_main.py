import pytest
import torch

from unweave.audio import write
from unweave.evaluation.__main__ import compare


def test_the_table_shows_what_each_stem_scores(tmp_path, capsys):
    voice, drums = torch.randn(2, 2, 8000, generator=torch.Generator().manual_seed(0)) * 0.1
    for folder, stems in (
        ("true", {"mixture": voice + drums, "vocals": voice, "drums": drums}),
        ("got", {"vocals": 0.9 * voice, "drums": drums + 0.1 * voice}),
    ):
        (tmp_path / folder).mkdir()
        for name, audio in stems.items():
            write(tmp_path / folder / f"{name}.wav", audio, 44100)
    compare(tmp_path / "got", references=tmp_path / "true")
    rows = {
        line.split()[0]: line.split()[1:]
        for line in capsys.readouterr().out.splitlines()
        if line.strip()
    }
    assert float(rows["vocals"][0]) == pytest.approx(20.0, abs=0.1)
    assert float(rows["drums"][0]) == pytest.approx(20.0, abs=0.5)
    assert float(rows["vocals"][2]) > 100
    assert float(rows["drums"][1]) == pytest.approx(0.0, abs=0.5)
