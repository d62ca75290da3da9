import math

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from unweave import plots
from unweave.errors import DatasetError, ParameterError


def test_points_in_order_and_the_best():
    ax = plots.curves({"a": {2: 1.0, 0: 3.0, 1: math.nan}, "b": [5.0, 4.0]}, best="min", log=True)
    first, second = ax.get_lines()
    np.testing.assert_array_equal(first.get_xydata(), [[0, 3], [2, 1]])
    np.testing.assert_array_equal(second.get_xydata(), [[0, 5], [1, 4]])
    assert [text.get_text() for text in ax.texts] == ["1", "4"]
    assert ax.get_yscale() == "log"
    assert [t.get_text() for t in plots.curves({"a": [1.0, 2.0]}, best="max").texts] == ["2"]
    assert not plots.curves({"a": []}, best="max").texts


def test_a_panel_a_quantity():
    values = {"train_loss": [1.0], "val/loss": [2.0], "loss": [3.0], "val_si_sdr": [1.0, 2.0]}
    loss, quality = plots.history(values)
    assert len(loss.get_lines()) == 3
    assert quality.get_ylabel() == "si_sdr"
    assert [t.get_text() for t in quality.texts] == ["2"]
    for function in (plots.history, plots.curves):
        with pytest.raises(ParameterError, match="no curve"):
            function({})
    with pytest.raises(ParameterError, match="best='most'"):
        plots.curves({"a": [1.0]}, best="most")


def test_tensorboard_is_read(tmp_path):
    with SummaryWriter(tmp_path / "runs") as log:
        for step in range(3):
            log.add_scalar("val/loss", 1 / (step + 1), step)
        log.add_histogram("weights", torch.zeros(3), 0)
    found = plots.read_curves(tmp_path)
    assert found == {"val/loss": {n: pytest.approx(1 / (n + 1)) for n in range(3)}}
    [file] = (tmp_path / "runs").iterdir()
    assert plots.read_curves(file) == found


def test_tables_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,step,loss,note\n0,10,2.5,\n0,20,,\n1,20,1.5,3\n")
    assert plots.read_curves(path) == {"loss": {10: 2.5, 20: 1.5}, "note": {20: 3}}
    assert plots.read_curves(tmp_path) == plots.read_curves(path)


@pytest.mark.parametrize(
    ("text", "said"), [("a,b\n1,2\n", "holds no curves"), ("step,b\n1,loud\n", "loud")]
)
def test_other_files_hold_no_curves(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=said):
        plots.read_curves(path)
    for missing in (tmp_path / "none.csv", tmp_path / "none"):
        with pytest.raises(DatasetError, match="none"):
            plots.read_curves(missing)


def test_every_finite_score_is_a_point():
    scores = {
        "mine": {"vocals": [1.0, 2.0, math.nan, 5.0, 4.0], "drums": [3.0]},
        "mixture": {"vocals": [-1.0], "bass": [math.inf]},
    }
    ax = plots.distribution(scores, label="SI-SDR (dB)")
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["vocals\n(1 without)", "drums", "bass\n(1 without)"]
    drawn = sorted(y for points in ax.collections for _, y in points.get_offsets())
    assert drawn == [-1, 1, 2, 3, 4, 5]
    middles = [line.get_ydata()[0] for line in ax.get_lines()[:-1]]
    assert middles == [3, 3, -1]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["mine", "mixture"]
    with pytest.raises(ParameterError, match="holds none"):
        plots.distribution({})
