"""Scores of many tracks: the table on disk, museval's files, and averages."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from unweave.audio._partfile import PartFile
from unweave.errors import DatasetError, ParameterError
from unweave.evaluation.bsseval import BSSScores
from unweave.evaluation.tracks import METRICS, BSSSettings, StemScores

_COLUMNS = ("method", "track", "stem", *METRICS)
_MUSEVAL = "0.4.1"  # whose files these are


@dataclass(frozen=True)
class Row:
    """Scores of one stem of one track by one method.

    Attributes:
        method: What made the estimate.
        track: Name of the track.
        stem: Name of the stem.
        values: The scores in dB by the names of `METRICS`; nan where there is no result.
    """

    method: str
    track: str
    stem: str
    values: Mapping[str, float]


def write_csv(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Write scores as a table of commas; the file appears when it is complete.

    Args:
        path: Of the file; one that is there is replaced.
        rows: The scores; nan becomes an empty cell.

    Raises:
        AudioFileError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_csv(f"{folder}/a.csv", [Row("mine", "song", "vocals", {"sdr": 6.5})])
        ...     read_csv(f"{folder}/a.csv")[0].values["sdr"]
        6.5
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for row in rows:
        scores = [_cell(row.values.get(metric, math.nan)) for metric in METRICS]
        table.writerow([row.method, row.track, row.stem, *scores])
    _write(path, text.getvalue())


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5f}"


def read_csv(path: str | os.PathLike[str]) -> list[Row]:
    """Read what `write_csv` wrote.

    Args:
        path: Of the file.

    Returns:
        The scores.

    Raises:
        DatasetError: The file is something else.
        OSError: It cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_csv(f"{folder}/a.csv", [])
        ...     read_csv(f"{folder}/a.csv")
        []
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        if not set(table.fieldnames or ()).issuperset(("method", "track", "stem")):
            raise DatasetError(
                f"{os.fspath(path)!r} is no table of scores (method, track, stem, ...): name"
                " another file"
            )
        try:
            return [_row(line) for line in table]
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{os.fspath(path)!r}: line {table.line_num}: {error}") from error


def _row(line: Mapping[str, str]) -> Row:
    values = {metric: float(line.get(metric) or "nan") for metric in METRICS}
    return Row(line["method"], line["track"], line["stem"], values)


def write_museval(
    path: str | os.PathLike[str], scores: Mapping[str, StemScores], *, bss: BSSSettings
) -> None:
    """Write the windows of a track as museval does, so that its tools can read them.

    Args:
        path: Of the JSON file; one that is there is replaced.
        scores: Of the stems; those without windows are left out.
        bss: How they were measured.

    Raises:
        AudioFileError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_museval(f"{folder}/a.json", {}, bss=BSSSettings())
        ...     sorted(json.loads(Path(f"{folder}/a.json").read_text()))
        ['museval_version', 'targets']
    """
    targets = [
        {"name": name, "frames": list(_frames(found.frames, bss))}
        for name, found in scores.items()
        if found.frames is not None
    ]
    _write(path, json.dumps({"targets": targets, "museval_version": _MUSEVAL}, indent=2))


def _frames(scores: BSSScores, bss: BSSSettings) -> Iterator[dict[str, Any]]:
    columns = {name.upper(): x.tolist() for name, x in scores._asdict().items()}
    for place in range(len(columns["SDR"])):
        metrics = {
            # museval too writes infinite ratios as nan.
            name: round(columns[name][place], 5)
            if math.isfinite(columns[name][place])
            else math.nan
            for name in ("SDR", "SIR", "SAR", "ISR")
        }
        yield {"time": place * bss.hop, "duration": bss.window, "metrics": metrics}


def _museval(value: float) -> float:
    return round(value, 5) if math.isfinite(value) else math.nan  # so it writes infinity too


def aggregate(
    rows: Iterable[Row], *, average: str = "median"
) -> dict[tuple[str, str], dict[str, float]]:
    """Give the middle of all tracks, stem by stem.

    Args:
        rows: The scores.
        average: "median", as campaigns report it, or "mean".

    Returns:
        Scores by (method, stem) and by metric. Tracks without a finite result do not count; where
        none counts, inf remains if there was nothing else, and nan otherwise.

    Raises:
        ParameterError: There is no such average.

    Example:
        >>> rows = [Row("mine", str(n), "vocals", {"sdr": n}) for n in (1.0, 2.0, 9.0)]
        >>> aggregate(rows)["mine", "vocals"]["sdr"]
        2.0
    """
    if average not in ("median", "mean"):
        raise ParameterError(f"average={average!r} must be median or mean")
    columns: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        column = columns.setdefault((row.method, row.stem), {metric: [] for metric in METRICS})
        for metric in METRICS:
            if not math.isnan(value := row.values.get(metric, math.nan)):
                column[metric].append(value)
    return {
        key: {metric: _middle(found, average) for metric, found in column.items()}
        for key, column in columns.items()
    }


def _middle(values: list[float], average: str) -> float:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return values[0] if len(set(values)) == 1 else math.nan
    return median(finite) if average == "median" else fmean(finite)


def _write(path: str | os.PathLike[str], text: str) -> None:
    part = PartFile(path)
    try:
        part.path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise part.error(error) from error
    part.commit()
