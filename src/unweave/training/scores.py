"""evaluation.csv: how well the best weights separate the validation tracks."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from unweave.evaluation import sdr, si_sdr
from unweave.separation import Separator
from unweave.training.checkpoints import cannot_write
from unweave.training.config import Config
from unweave.training.files import replacing
from unweave.training.model_folder import ModelFolder

COLUMNS = ("track_name", "target", "sdr", "si_sdr", "mixture_sdr", "mixture_si_sdr")
AVERAGE = "average"


def score_tracks(
    place: ModelFolder, config: Config, songs: Iterable[tuple[str, Tensor, Tensor]]
) -> list[dict[str, Any]]:
    """Separate whole tracks and compare them with their stems.

    Args:
        place: The model's folder.
        config: Settings of the run.
        songs: Name, mixture (channels, time) and sources (sources, channels, time) of each.

    Returns:
        Rows of `COLUMNS` in dB, a track and a target each, and one of averages for each target.
        What cannot be measured, such as a silent stem, is NaN and does not count in the average.
    """
    accelerator = config.training_params.accelerator
    device = {"gpu": "cuda"}.get(accelerator, accelerator)
    separator = Separator(place.load_network(), device=device)
    targets = config.dataset_params.targets
    rows: list[dict[str, Any]] = []
    for track, mixture, stems in songs:
        made = separator.separate(mixture, sample_rate=config.dataset_params.sample_rate)
        for name, stem in zip(targets, stems, strict=True):
            values = [
                float(measure(x, stem)) for x in (made[name], mixture) for measure in (sdr, si_sdr)
            ]
            measured = [value if math.isfinite(value) else math.nan for value in values]
            rows.append(
                {"track_name": track, "target": name}
                | dict(zip(COLUMNS[2:], measured, strict=True))
            )
    return rows + [_average(rows, name) for name in targets if rows]


def _average(rows: Sequence[dict[str, Any]], target: str) -> dict[str, Any]:
    made: dict[str, Any] = {"track_name": AVERAGE, "target": target}
    for column in COLUMNS[2:]:
        values = [row[column] for row in rows if row["target"] == target]
        values = [value for value in values if math.isfinite(value)]
        made[column] = sum(values) / len(values) if values else math.nan
    return made


def write_scores(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the table, which appears complete or not at all.

    Args:
        path: Of the file.
        rows: From `score_tracks`.

    Raises:
        UnweaveError: It cannot be written; what was there is kept.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        values = [row[column] for column in COLUMNS[2:]]
        shown = [f"{value:.3f}" if math.isfinite(value) else "" for value in values]
        table.writerow([row["track_name"], row["target"], *shown])
    try:
        with replacing(path) as part:
            part.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error
