import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unweave.errors import AudioFileError, DatasetError, ParameterError
from unweave.evaluation import (
    METRICS,
    BSSScores,
    BSSSettings,
    Row,
    StemScores,
    aggregate,
    read_csv,
    write_csv,
    write_museval,
)

names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0"), min_size=1)
score = st.floats(-200, 200) | st.just(math.nan) | st.just(math.inf)


@given(rows=st.lists(st.tuples(names, names, st.fixed_dictionaries(dict.fromkeys(METRICS, score)))))
def test_tables_come_back(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "scores.csv"
    given_rows = [Row("mine", track, stem, values) for track, stem, values in rows]
    write_csv(path, given_rows)
    got = read_csv(path)
    assert [(r.track, r.stem) for r in got] == [(r.track, r.stem) for r in given_rows]
    for one, other in zip(got, given_rows, strict=True):
        for metric in METRICS:
            assert one.values[metric] == pytest.approx(other.values[metric], abs=6e-6, nan_ok=True)


def test_other_files_are_no_tables(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("method,track,stem,sdr\nm,t,s,loud\n")
    with pytest.raises(DatasetError, match=r"line 2: .*loud"):
        read_csv(path)
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(DatasetError, match="no table of scores"):
        read_csv(path)
    with pytest.raises(AudioFileError, match="missing"):
        write_csv(tmp_path / "none" / "a.csv", [])
    assert path.read_text() == "epoch,loss\n1,2\n"


@given(values=st.lists(score, min_size=1))
def test_averages_leave_out_what_is_not_finite(values):
    rows = [Row("m", str(n), "vocals", {"sdr": v}) for n, v in enumerate(values)]
    finite = [v for v in values if math.isfinite(v)]
    for average, oracle in (("median", np.median), ("mean", np.mean)):
        got = aggregate(rows, average=average)["m", "vocals"]
        perfect = not finite and math.inf in values
        expected = oracle(finite) if finite else math.inf if perfect else math.nan
        assert got["sdr"] == pytest.approx(float(expected), nan_ok=True)
        assert math.isnan(got["si_sdr"])
    with pytest.raises(ParameterError, match="median or mean"):
        aggregate(rows, average="mode")


def test_museval_files_are_those_that_museval_writes(tmp_path):
    """The store of museval, which needs much else, makes a frame like this of SDR 1, inf, nan."""
    values = torch.tensor([1.0, torch.inf, torch.nan])
    frames = BSSScores(values, values + 1, values + 2, values + 3)
    scores = {"vocals": StemScores({}, frames), "bass": StemScores({})}
    write_museval(tmp_path / "a.json", scores, bss=BSSSettings(window=2.0, hop=1.5))
    text = Path(tmp_path / "a.json").read_text()
    got = json.loads(text)
    assert [target["name"] for target in got["targets"]] == ["vocals"]
    first, second, third = got["targets"][0]["frames"]
    metrics = {"SDR": 1.0, "SIR": 3.0, "SAR": 4.0, "ISR": 2.0}
    assert first == {"time": 0.0, "duration": 2.0, "metrics": metrics}
    assert (second["time"], third["time"]) == (1.5, 3.0)
    assert all(math.isnan(x) for f in (second, third) for x in f["metrics"].values())
