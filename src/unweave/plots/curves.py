"""How training went."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unweave.errors import DatasetError, DependencyError, ParameterError
from unweave.plots._figure import PALETTE, SMALL, new_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Curve: TypeAlias = "Sequence[float] | Mapping[float, float]"

_MARKED = 40  # points of a curve that are marked one by one


def read_curves(path: str | os.PathLike[str]) -> dict[str, dict[float, float]]:
    r"""Read the scalars that training left: a CSV file, or TensorBoard's.

    Args:
        path: A CSV file with a column `step` or `epoch`, a TensorBoard event file, or a folder that
            is searched for either, TensorBoard's first.

    Returns:
        Curves by name, each a value a step. A step that was logged twice keeps its last value.

    Raises:
        DatasetError: There is nothing to read, or the file is something else.
        DependencyError: TensorBoard is not installed.

    Example:
        >>> _ = Path("metrics.csv").write_text("step,loss,val_loss\n0,1.0,\n1,0.5,0.75\n")
        >>> read_curves("metrics.csv")
        {'loss': {0.0: 1.0, 1.0: 0.5}, 'val_loss': {1.0: 0.75}}
    """
    path = Path(path)
    if path.is_dir():
        events, tables = (sorted(path.rglob(p)) for p in ("events.out.tfevents.*", "*.csv"))
        found: dict[str, dict[float, float]] = {}
        for file in events or tables:
            for name, curve in (_from_events(file) if events else _from_csv(file)).items():
                found.setdefault(name, {}).update(curve)
    elif path.suffix.lower() == ".csv":
        found = _from_csv(path)
    else:
        found = _from_events(path)
    if not found:
        raise DatasetError(
            f"{str(path)!r} holds no curves: a CSV file with a column step or epoch, or"
            " TensorBoard's event files are expected"
        )
    return found


def _from_csv(path: Path) -> dict[str, dict[float, float]]:
    curves: dict[str, dict[float, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            axis = next((n for n in ("step", "epoch") if n in (table.fieldnames or ())), None)
            if axis is None:
                return {}
            for line in table:
                for name, cell in line.items():
                    if name not in ("step", "epoch", None) and cell:
                        curves.setdefault(name, {})[float(line[axis])] = float(cell)
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{str(path)!r} holds no curves: {error}") from error
    return curves


def _from_events(path: Path) -> dict[str, dict[float, float]]:
    if not path.is_file():
        raise DatasetError(f"{str(path)!r}: no such file or folder")
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    except ImportError as error:
        raise DependencyError(
            "TensorBoard's files need tensorboard: pip install 'unweave[train]'"
        ) from error
    curves: dict[str, dict[float, float]] = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            for number in _scalars(value):
                curves.setdefault(value.tag, {})[float(event.step)] = number
    return curves


def _scalars(value: object) -> Iterator[float]:
    """Give the number that a summary holds, if it holds one."""
    tensor = getattr(value, "tensor", None)
    if value.metadata.plugin_data.plugin_name == "scalars" and tensor is not None:  # type: ignore[attr-defined]
        yield from (float(x) for x in tensor.float_val or [value.simple_value])  # type: ignore[attr-defined]


def curves(
    values: Mapping[str, Curve],
    *,
    label: str = "loss",
    log: bool = False,
    best: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw values over the steps of training, and mark the best.

    Args:
        values: Curves by name: a value a step, or values in a row.
        label: Of the values, with their unit.
        log: Whether the axis of values is logarithmic.
        best: "min" or "max" marks the best value of each curve; None marks none.
        ax: Where to draw; if None, on a new figure.

    Returns:
        The axes.

    Raises:
        ParameterError: There are no curves, or `best` is unknown.
        DependencyError: matplotlib is not installed.

    Example:
        >>> ax = curves({"train": [3.0, 2.0, 1.0], "validation": {0: 3.0, 2: 2.0}}, best="min")
        >>> [line.get_label() for line in ax.get_lines()]
        ['train', 'validation']
    """
    if not values:
        raise ParameterError("values holds no curve: give {name: [values]}")
    if best not in (None, "min", "max"):
        raise ParameterError(f"best={best!r} must be min, max or None")
    ax = new_axes(7.0, 4.0) if ax is None else ax
    for place, (name, curve) in enumerate(values.items()):
        colour = PALETTE[place % len(PALETTE)]
        points = _points(curve)
        style = {"marker": "o", "markersize": 3} if len(points) <= _MARKED else {}
        steps, heights = [p[0] for p in points], [p[1] for p in points]
        ax.plot(steps, heights, color=colour, label=name, **style)  # type: ignore[arg-type]
        if best is not None and points:
            _mark(ax, (min if best == "min" else max)(points, key=lambda p: p[1]), best, colour)
    if log:
        ax.set_yscale("log")
    ax.margins(y=0.12)
    ax.set_xlabel("step", fontsize=SMALL)
    ax.set_ylabel(label, fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=SMALL, frameon=False)
    return ax


def _points(curve: Curve) -> list[tuple[float, float]]:
    pairs = curve.items() if isinstance(curve, Mapping) else enumerate(curve)
    return sorted((float(step), value) for step, value in pairs if math.isfinite(value))


def _mark(ax: Axes, point: tuple[float, float], best: str, colour: str) -> None:
    """Write the best value beside its point."""
    ax.scatter(*point, s=45, color=colour, zorder=3)
    ax.annotate(
        f"{point[1]:.4g}",
        point,
        xytext=(0, 6 if best == "max" else -12),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL - 1,
        color=colour,
    )


def history(
    values: Mapping[str, Curve], *, figure: Figure | SubFigure | None = None
) -> tuple[Axes, ...]:
    """Draw all that was logged in training, training and validation together, a panel a quantity.

    Args:
        values: Curves by name. What is left of names without `train` and `val` tells the quantity:
            `train_loss`, `val/loss` and `loss` share a panel.
        figure: Where to draw; if None, on a new figure.

    Returns:
        The axes, in the order of the names.

    Raises:
        ParameterError: There are no curves.
        DependencyError: matplotlib is not installed.

    Example:
        >>> axes = history({"train_loss": [2.0, 1.0], "val_loss": [2.5, 2.0], "lr": [0.1, 0.01]})
        >>> [ax.get_ylabel() for ax in axes]
        ['loss', 'lr']
    """
    if not values:
        raise ParameterError("values holds no curve: give {name: [values]}")
    groups: dict[str, dict[str, Curve]] = {}
    for name, curve in values.items():
        groups.setdefault(_quantity(name), {})[name] = curve
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    figure = figure or new_figure(5.5 * columns, 3.4 * rows)
    axes = []
    for place, (quantity, group) in enumerate(groups.items()):
        ax = figure.add_subplot(rows, columns, place + 1)
        axes.append(curves(group, label=quantity, best=_better(quantity), ax=ax))
    return tuple(axes)


def _quantity(name: str) -> str:
    words = name.replace("/", "_").split("_")
    left = [w for w in words if w not in ("train", "val", "valid", "validation", "step", "epoch")]
    return "_".join(left) or name


def _better(quantity: str) -> str | None:
    if "loss" in quantity:
        return "min"
    return "max" if "sdr" in quantity.lower() else None
