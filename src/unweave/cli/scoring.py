"""What `unweave evaluate` does: find tracks, make or read estimates, score them, keep scores."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unweave.cli.output import console, print_json, table
from unweave.cli.report import Reporter

if TYPE_CHECKING:
    from torch import Tensor

    from unweave.datasets.tracks import Track
    from unweave.evaluation import Row
    from unweave.separation import Separator

    Stems = dict[str, Tensor]
    Estimator = Callable[[Track, Tensor, int, Callable[[float], None]], Stems]

HEADINGS = {
    "sdr": "SDR",
    "si_sdr": "SI-SDR",
    "si_sir": "SI-SIR",
    "si_sar": "SI-SAR",
    "bss_sdr": "BSS SDR",
    "bss_isr": "ISR",
    "bss_sir": "SIR",
    "bss_sar": "SAR",
}
_ROUNDING = 100  # dB
_SLACK = 0.1  # seconds by which a codec may change the length of an estimate


@dataclass(frozen=True)
class Plan:
    """What was asked for; see the options of `unweave evaluate`."""

    estimates: str
    dataset: Path
    output: Path
    museval: Path | None = None
    picture: Path | None = None
    existing: Literal["refuse", "skip", "overwrite"] = "refuse"
    stems: tuple[str, ...] | None = None
    subset: str | None = None
    max_tracks: int | None = None
    duration: float | None = None
    baselines: tuple[str, ...] = ()
    bss: bool = True
    device: str = "auto"
    average: str = "median"

    @property
    def method(self) -> str:
        """What the estimates are called in tables."""
        return Path(self.estimates).name or self.estimates


def run(plan: Plan, reporter: Reporter) -> int:
    """Score all tracks, and return the exit code.

    Args:
        plan: What was asked for.
        reporter: Tells of it.
    """
    from unweave.errors import DatasetError
    from unweave.evaluation import read_csv, write_csv

    tracks = _tracks(plan)
    names, estimate = _estimator(plan, tracks)
    rows = read_csv(plan.output) if plan.existing == "skip" and plan.output.exists() else []
    done = {row.track for row in rows if row.method == plan.method}
    seconds = sum(track.duration for track in tracks)
    with reporter.live(len(tracks)):
        begun = 0.0
        for track in tracks:
            if track.name in done:
                reporter.skipped += 1
            else:
                try:
                    with _told(plan, reporter, begun, seconds) as told:
                        found = _score(plan, track, names, lambda t, m, r: estimate(t, m, r, told))
                except (DatasetError, OSError) as error:
                    reporter.fail(track.name, error)
                    continue
                rows += found
                write_csv(plan.output, rows)  # complete at any moment
                reporter.done += 1
                if reporter.as_json:
                    _print_track(track.name, found)
            begun += track.duration
            reporter.progress(plan.dataset, begun, seconds)
    _tell(plan, rows, reporter)
    return reporter.end()


@contextmanager
def _told(
    plan: Plan, reporter: Reporter, begun: float, seconds: float
) -> Iterator[Callable[[float], None]]:
    yield lambda done: reporter.progress(plan.dataset, begun + 0.9 * done, seconds)


def _tracks(plan: Plan) -> "list[Track]":
    from unweave.datasets.tracks import scan_dataset

    subset = plan.subset
    if subset is None and (plan.dataset / "test").is_dir():
        subset = "test"
    tracks = scan_dataset(plan.dataset, subset=subset, missing="silent")
    return tracks[: plan.max_tracks]


def _estimator(plan: Plan, tracks: "Sequence[Track]") -> "tuple[tuple[str, ...], Estimator]":
    """Give the names of the stems to score, and what makes estimates of them."""
    from unweave.errors import DatasetError

    there = {name for track in tracks for name in track.stems}
    path = Path(plan.estimates)
    folder = path.is_dir() and not (path / "config.json").is_file()
    offered, estimate = _folder(plan, path, tracks) if folder else _network(plan)
    names = plan.stems or tuple(name for name in offered if name in there)
    for name in names:
        if name not in there or name not in offered:
            side = "true stems" if name not in there else "estimates"
            raise DatasetError(
                f"there is no {name!r} among the {side}: true are {', '.join(sorted(there))};"
                f" estimated are {', '.join(sorted(offered))}"
            )
    if not names:
        raise DatasetError(
            f"nothing to compare: {str(plan.dataset)!r} holds {', '.join(sorted(there))};"
            f" {plan.estimates!r} gives {', '.join(sorted(offered)) or 'nothing'}"
        )
    return names, estimate


def _network(plan: Plan) -> "tuple[tuple[str, ...], Estimator]":
    separator = _separator(plan)

    def estimate(
        track: "Track", mixture: "Tensor", rate: int, told: Callable[[float], None]
    ) -> "Stems":
        return separator.separate(mixture, rate, progress=lambda done, _total: told(done))

    return separator.sources, estimate


def _separator(plan: Plan) -> "Separator":
    from unweave.errors import DatasetError
    from unweave.separation import Separator

    path = Path(plan.estimates)
    if path.is_dir():
        from unweave.training.model_folder import ModelFolder

        return Separator(ModelFolder.open(path).load_network(), device=plan.device)
    if path.suffix != ".safetensors" and not path.exists() and len(path.parts) > 1:
        raise DatasetError(f"there is no folder {plan.estimates!r} of estimates or of a model")
    return Separator(plan.estimates, device=plan.device)


def _folder(
    plan: Plan, root: Path, tracks: "Sequence[Track]"
) -> "tuple[tuple[str, ...], Estimator]":
    from unweave.datasets.layouts import AUDIO_SUFFIXES
    from unweave.errors import DatasetError

    def files(track: "Track") -> dict[str, Path]:
        place = root / track.name
        if len(tracks) == 1 and not place.is_dir():
            place = root  # of the only track
        if not place.is_dir():
            return {}
        found = sorted(p for p in place.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES)
        return {path.stem: path for path in found if not path.name.startswith(".")}

    def estimate(
        track: "Track", mixture: "Tensor", rate: int, _told: Callable[[float], None]
    ) -> "Stems":
        found = files(track)
        if not found:
            raise DatasetError(f"no estimates: {str(root / track.name)!r} holds no audio")
        return {
            name: _fitting(path, mixture, rate, plan.duration)
            for name, path in found.items()
            if name in offered
        }

    there = {name for track in tracks for name in track.stems}
    found = {name: None for track in tracks for name in files(track)}
    offered = {name: None for name in found if name in there}
    if not offered:
        held = ", ".join(sorted(found))
        raise DatasetError(
            f"nothing to compare: {str(plan.dataset)!r} holds {', '.join(sorted(there))};"
            f" {plan.estimates!r} "
            + (f"holds {held}" if held else f"has no folder {tracks[0].name!r} with audio in it")
        )
    return tuple(offered), estimate


def _fitting(path: Path, mixture: "Tensor", rate: int, duration: float | None) -> "Tensor":
    """Read an estimate, and see that it fits the track."""
    from torch.nn.functional import pad

    from unweave.audio import read
    from unweave.errors import DatasetError

    sound, own = read(path, duration=duration)
    if own != rate:
        raise DatasetError(
            f"{str(path)!r} has {own} Hz and the true stems {rate} Hz: resample one of them"
        )
    if len(sound) != len(mixture):
        raise DatasetError(
            f"{str(path)!r} has {len(sound)} channels and the true stems {len(mixture)}"
        )
    more = sound.shape[-1] - mixture.shape[-1]
    if abs(more) > _SLACK * rate:
        raise DatasetError(
            f"{str(path)!r} is {abs(more) / rate:.2f} s {'longer' if more > 0 else 'shorter'} than"
            " the true stems: it does not belong to them, or is cut"
        )
    return sound[:, : mixture.shape[-1]] if more > 0 else pad(sound, (0, -more))


def _score(
    plan: Plan,
    track: "Track",
    names: Sequence[str],
    estimate: "Callable[[Track, Tensor, int], Stems]",
) -> "list[Row]":
    from unweave.errors import DatasetError
    from unweave.evaluation import BSSSettings, Row, baseline, score_track, write_museval

    mixture, sounds, rate = track.read(list(track.stems), duration=plan.duration)
    true = dict(zip(track.stems, sounds, strict=True))
    wanted = {name: true[name] for name in names if name in true}
    if not wanted:
        raise DatasetError(f"has none of the stems {', '.join(names)}")
    made = estimate(track, mixture, rate)
    for name in wanted:
        if name not in made:
            raise DatasetError(f"the estimate of {name!r} is missing (there is {', '.join(made)})")
    settings = BSSSettings() if plan.bss else None
    rows = []
    for method in (plan.method, *plan.baselines):
        stems = made if method == plan.method else baseline(method, mixture, true)
        scored = {name: stems[name] for name in wanted}
        scores = score_track(scored, true, sample_rate=rate, bss=settings)
        rows += [Row(method, track.name, name, found.values) for name, found in scores.items()]
        if plan.museval is not None and settings is not None and method == plan.method:
            place = plan.museval / "test" / f"{track.name.replace('/', ' - ')}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            write_museval(place, scores, bss=settings)
    return rows


def _tell(plan: Plan, rows: "list[Row]", reporter: Reporter) -> None:
    """Show the averages, and draw them."""
    from unweave.evaluation import aggregate

    if not rows:
        return
    shown = [m for m in HEADINGS if any(row.values[m] == row.values[m] for row in rows)]
    middle = aggregate(rows, average=plan.average)
    if reporter.as_json:
        for average in ("median", "mean"):
            found = aggregate(rows, average=average).items()
            scores = [{"method": m, "stem": s, **values} for (m, s), values in found]
            print_json({"average": average, "tracks": _count(rows), "scores": scores})
    elif not reporter.verbosity.quiet:
        several = len({row.method for row in rows}) > 1
        counts = _counts(rows)
        uneven = len(set(counts.values())) > 1
        first = ("stem", "method") if several else ("stem",)
        right = (*(("tracks",) if uneven else ()), *(HEADINGS[m] for m in shown))
        made = table(*first, *right, right=right)
        for method, stem in sorted(middle, key=lambda key: _place(key, rows)):
            cells = [_cell(middle[method, stem][m]) for m in shown]
            count = (str(counts[method, stem]),) if uneven else ()
            made.add_row(*((stem, method) if several else (stem,)), *count, *cells)
        out = console()
        out.print(made)
        what = "one track" if _count(rows) == 1 else f"{plan.average} of {_count(rows)} tracks"
        out.print(f"dB, {what}; every track is in {plan.output}")
    if plan.picture is not None:
        _draw(plan.picture, rows)
        print(f"unweave: {plan.picture} shows the tracks", file=sys.stderr)


def _cell(score: float) -> str:
    """Write a score; beyond 100 dB there is only rounding."""
    if abs(score) > _ROUNDING:
        return f"{'>' if score > 0 else '<-'}{_ROUNDING}"
    return f"{score:.2f}" if score == score else "-"


def _counts(rows: "Sequence[Row]") -> dict[tuple[str, str], int]:
    """Tell how many tracks have scores of a stem."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row.method, row.stem
        scored = any(value == value for value in row.values.values())
        found[key] = found.get(key, 0) + scored
    return found


def _count(rows: "Sequence[Row]") -> int:
    return len({row.track for row in rows})


def _place(key: tuple[str, str], rows: "Sequence[Row]") -> tuple[int, int]:
    """Order by stem, then by method, both as they came."""
    stems = list(dict.fromkeys(row.stem for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    return stems.index(key[1]), methods.index(key[0])


def _draw(picture: Path, rows: "Sequence[Row]") -> None:
    from unweave.plots import distribution, save
    from unweave.plots._figure import new_figure

    measured = any(row.values["bss_sdr"] == row.values["bss_sdr"] for row in rows)
    second = ("bss_sdr", "BSSEval SDR, median of windows (dB)")
    panels = (("si_sdr", "SI-SDR (dB)"), second if measured else ("sdr", "SDR (dB)"))
    methods = len({row.method for row in rows})
    stems = len({row.stem for row in rows})
    figure = new_figure(max(5.0, 1.0 + 0.45 * stems * (1 + methods)), 7.0)
    for place, (metric, label) in enumerate(panels):
        scores: dict[str, dict[str, list[float]]] = {}
        for row in rows:
            scores.setdefault(row.method, {}).setdefault(row.stem, []).append(row.values[metric])
        ax = figure.add_subplot(2, 1, place + 1)
        distribution(scores, label=label, ax=ax)
        if place and (legend := ax.get_legend()) is not None:
            legend.remove()
    save(figure, picture)


def _print_track(track: str, rows: "Sequence[Row]") -> None:
    methods: dict[str, dict[str, Mapping[str, float]]] = {}
    for row in rows:
        methods.setdefault(row.method, {})[row.stem] = row.values
    print_json({"track": track, "status": "ok", "scores": methods})
