"""What `unweave decompose` does: read, take apart, write sounds, factors, picture and matches."""

import csv
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.cli.inputs import find_tracks
from unweave.cli.output import console, print_json, table
from unweave.cli.report import Reporter, as_json
from unweave.cli.taking_apart import (
    FACTORED,
    RESIDUAL,
    Parts,
    Plan,
    expected_names,
    taken_apart,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unweave.separation.batch import FileResult
    from unweave.separation.songwriter import SongWriter

FACTORS, PICTURE, MATCHES = "factors.npz", "components.png", "matches.csv"
_OURS = re.compile(
    r"((component|source)-\d+|residual|harmonic|percussive|background|foreground)\.\w+|"
    + "|".join(map(re.escape, (FACTORS, PICTURE, MATCHES)))
)
_SLACK = 0.1  # seconds by which a codec may change the length of a reference


@dataclass
class Written:
    """What sums over all blocks, and sounds where references need them."""

    residual: float = 0.0
    energy: float = 0.0
    sounds: "list[Tensor]" = field(default_factory=list)

    @property
    def below(self) -> float:
        """Level of the residual relative to the song in dB."""
        return 10 * math.log10(self.residual / self.energy) if self.residual else -math.inf


def run(plan: Plan, reporter: Reporter) -> int:
    """Take a song apart, and return the exit code.

    Args:
        plan: What was asked for.
        reporter: Tells of it.
    """
    from unweave.errors import DependencyError
    from unweave.plots._figure import new_figure
    from unweave.separation.batch import FileResult

    began = time.perf_counter()
    _targets(plan, expected_names(plan))
    if plan.picture:  # matplotlib is missing before minutes are spent, not after
        try:
            new_figure(1, 1)
        except DependencyError as error:
            raise DependencyError(f"{error}, or use --no-picture") from error
    device = _device(plan.device)
    mixture, rate = _read(plan)
    _check_writing(plan, mixture, rate)
    references = _references(plan, mixture, rate)
    with reporter.live(1), _enough_memory(device):
        parts = taken_apart(plan, mixture.to(device), rate, reporter)
        names = parts.names if plan.complete else [*parts.names, RESIDUAL]
        with _writer(plan, names, mixture, rate) as writer:
            written = _stream(plan, parts, mixture, writer, reporter)
            matches = _matched(parts.names, written, references, mixture)
            _write_others(plan, parts, matches)
            if plan.picture:
                _draw(plan, parts, (mixture, rate), written)
            stems = writer.finish()
    result = FileResult(
        plan.song,
        plan.song.stem,
        "ok",
        stems=tuple(stems),
        seconds=mixture.shape[-1] / rate,
        elapsed=time.perf_counter() - began,
        sample_rate=rate,
        gain=writer.gain,
        notes=parts.notes,
    )
    facts = {"device": str(device)} | parts.facts | {"residual_db": written.below}
    _tell(reporter, result, facts, matches)
    return 0


def _device(name: str) -> "torch.device":
    """Choose what computes: a GPU that has double precision, in which objectives are summed."""
    from unweave.errors import ParameterError
    from unweave.separation.devices import available_devices, resolve_device

    able = [known for known in available_devices() if known != "mps"]
    if name == "mps":
        raise ParameterError(f"--device mps has no double precision: use auto, {', '.join(able)}")
    return resolve_device(able[0] if name == "auto" else name)


@contextmanager
def _enough_memory(device: "torch.device") -> Iterator[None]:
    """Explain that a GPU, or the machine, is too small."""
    from torch import OutOfMemoryError

    from unweave.errors import ParameterError

    less = "" if device.type == "cpu" else "--device cpu, "
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        short = isinstance(error, OutOfMemoryError | MemoryError)
        if not (short or "allocate memory" in str(error)):
            raise
        raise ParameterError(
            f"--device {device} has too little memory for this: give {less}fewer"
            " --components, or a --duration"
        ) from error


def _read(plan: Plan) -> "tuple[Tensor, int]":
    """Read the song, and refuse what cannot be taken apart."""
    from unweave.audio import read
    from unweave.errors import AudioFileError

    mixture, rate = read(plan.song, start=plan.start, duration=plan.duration)
    if mixture.shape[-1] < plan.frame:
        raise AudioFileError(
            f"{str(plan.song)!r}: {mixture.shape[-1]} samples are less than a frame of"
            f" {plan.frame}: give a smaller --n-fft"
        )
    if not mixture.isfinite().all():
        raise AudioFileError(f"{str(plan.song)!r} holds samples that are NaN or infinite")
    if not mixture.any():
        raise AudioFileError(f"{str(plan.song)!r} is silent: there is nothing to take apart")
    return mixture, rate


def _check_writing(plan: Plan, mixture: "Tensor", rate: int) -> None:
    """Refuse a folder or a format that sounds cannot be written to before they are made."""
    import tempfile

    from unweave.audio.formats import check_limits, resolve_format
    from unweave.errors import AudioFileError

    form = resolve_format(Path(), plan.format)
    check_limits(form, sample_rate=rate, channels=len(mixture), subtype=plan.subtype)
    folders = (plan.output.absolute(), *plan.output.absolute().parents)
    there = next(folder for folder in folders if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise AudioFileError(
            f"cannot write to {str(plan.output)!r}: {error.strerror or error}"
        ) from error


def _references(plan: Plan, mixture: "Tensor", rate: int) -> "dict[str, Tensor]":
    """Read the true sources, by name."""
    from torch.nn.functional import pad

    from unweave.audio import read
    from unweave.errors import DatasetError

    if plan.references is None:
        return {}
    folder = plan.references
    if not folder.is_dir():
        raise DatasetError(f"--references {str(folder)!r} is no folder of true sources")

    def refuse(_given: str, error: Exception) -> None:
        raise error

    song = plan.song.resolve()
    found = {}
    for track in find_tracks(str(folder), avoid=plan.output, refuse=refuse):
        if track.path.resolve() == song or track.name in ("mixture", "original"):
            continue
        sound, own = read(track.path, start=plan.start, duration=plan.duration)
        more = sound.shape[-1] - mixture.shape[-1]
        for what, this, that in (
            ("Hz", own, rate),
            ("channels", len(sound), len(mixture)),
            ("s", round(sound.shape[-1] / own, 2), round(mixture.shape[-1] / rate, 2)),
        ):
            if this != that and not (what == "s" and abs(more) <= _SLACK * rate):
                raise DatasetError(
                    f"{str(track.path)!r} has {this} {what}, the song {that} {what}: it is no true"
                    " source of it (--references)"
                )
        found[track.name] = sound[:, : mixture.shape[-1]] if more > 0 else pad(sound, (0, -more))
    if not found:
        raise DatasetError(f"--references {str(folder)!r} holds nothing but the mixture")
    return found


def _targets(plan: Plan, names: list[str]) -> dict[str, Path]:
    """Name all files of sounds, and refuse to lose or to mix anything."""
    from unweave.audio.formats import resolve_format
    from unweave.errors import ParameterError

    ext = resolve_format(Path(), plan.format).name
    targets = {name: plan.output / f"{name}.{ext}" for name in names}
    others = [FACTORS] if plan.factors else []
    others += [PICTURE] if plan.picture else []
    others += [MATCHES] if plan.references is not None else []
    files = [*targets.values(), *(plan.output / name for name in others)]
    if plan.output.exists() and not plan.output.is_dir():
        raise ParameterError(f"--output {str(plan.output)!r} is a file: give a folder")
    there = sorted(plan.output.glob("*")) if plan.output.is_dir() else []
    for path in there:
        if path in files and path.resolve() == plan.song.resolve():
            raise ParameterError(f"the song {str(path)!r} would be overwritten: give another -o")
        if not plan.overwrite and (path in files or _OURS.fullmatch(path.name)):
            raise ParameterError(f"{str(path)!r} exists: give --overwrite, or another --output")
        if path not in files and _OURS.fullmatch(path.name):
            raise ParameterError(
                f"{str(path)!r} of an earlier run would stay among the new files: remove it, or"
                " give another --output"
            )
    return targets


def _writer(plan: Plan, names: list[str], mixture: "Tensor", rate: int) -> "SongWriter":
    from unweave.separation.layout import OutputOptions
    from unweave.separation.songwriter import SongWriter

    return SongWriter(
        _targets(plan, names),
        names=names,
        folder=plan.output,
        sample_rate=rate,
        channels=len(mixture),
        options=OutputOptions(format=plan.format, subtype=plan.subtype),
        tags={},
    )


def _stream(
    plan: Plan, parts: Parts, mixture: "Tensor", writer: "SongWriter", reporter: Reporter
) -> Written:
    """Write all sounds block by block."""
    import torch

    done, written = 0, Written()
    for made in parts.blocks:
        block = made.cpu()
        whole = mixture[:, done : done + block.shape[-1]]
        rest = whole - block.sum(0)
        writer.write(block if plan.complete else torch.cat([block, rest[None]]))
        written.residual += float(rest.double().square().sum())
        written.energy += float(whole.double().square().sum())
        if plan.references is not None or not plan.factors:
            written.sounds.append(block)
        done += block.shape[-1]
        share = done / mixture.shape[-1]
        reporter.progress(plan.song, FACTORED + (1 - FACTORED) * share, 1.0)
    return written


def _matched(
    names: list[str], written: Written, references: "dict[str, Tensor]", mixture: "Tensor"
) -> list[dict[str, Any]]:
    """Say which sound is which reference; what belongs to none comes last."""
    import torch

    from unweave.decomposition import match_components

    if not references:
        return []
    estimates = torch.cat(written.sounds, -1)
    true = torch.stack(list(references.values()))
    match = match_components(true, estimates)
    snr = match_components(true, estimates, metric="snr").table
    song = match_components(true, mixture[None]).table[:, 0]
    rows: list[dict[str, Any]] = []
    for row, name in enumerate(references):
        found = int(match.indices[row])
        scores: dict[str, Any] = {"component": None, "si_sdr": None, "snr": None}
        if found >= 0:
            scores = {"component": names[found], "si_sdr": _decibels(match.scores[row])}
            scores["snr"] = _decibels(snr[row, found])
        rows.append({"reference": name} | scores | {"song_si_sdr": _decibels(song[row])})
    for name, free in zip(names, match.unmatched.tolist(), strict=True):
        if free:
            nothing = dict.fromkeys(("si_sdr", "snr", "song_si_sdr"))
            rows.append({"reference": None, "component": name} | nothing)
    return rows


def _decibels(value: "Tensor") -> float | None:
    """Give a ratio, or None for that of silence, for which neither JSON nor CSV has a number."""
    return float(value) if value.isfinite() else None


def _write_others(plan: Plan, parts: Parts, matches: list[dict[str, Any]]) -> None:
    """Write factors and matches."""
    import numpy as np

    from unweave.audio._partfile import PartFile

    if parts.factors:
        part = PartFile(plan.output / FACTORS)
        arrays = {name: x.numpy() for name, x in parts.factors.items()}
        np.savez(part.path, allow_pickle=False, **arrays)
        part.commit()
    if matches:
        part = PartFile(plan.output / MATCHES)
        with part.path.open("w", newline="", encoding="utf-8") as file:
            sheet = csv.DictWriter(file, fieldnames=list(matches[0]))
            sheet.writeheader()
            sheet.writerows(matches)
        part.commit()


def _draw(plan: Plan, parts: Parts, audio: "tuple[Tensor, int]", written: Written) -> None:
    """Draw templates and activations, or the sounds where there are none."""
    from unweave.plots import components, save, stems

    mixture, rate = audio
    if not parts.factors:
        sounds = dict(zip(parts.names, written.sounds[0], strict=True))
        save(stems({"mixture": mixture} | sounds, sample_rate=rate), plan.output / PICTURE)
        return
    groups = parts.factors.get("groups")
    names = None if groups is None else [parts.names[group] for group in groups.tolist()]
    axes = components(
        parts.factors["W"],
        parts.factors["H"],
        sample_rate=rate,
        hop_length=int(parts.factors["hop_length"]),
        V=parts.magnitudes,
        names=names,
    )
    save(axes, plan.output / PICTURE)


def _tell(
    reporter: Reporter,
    result: "FileResult",
    facts: dict[str, Any],
    matches: list[dict[str, Any]],
) -> None:
    if reporter.as_json:
        row = {"input": str(result.path)} | as_json(result) | facts
        print_json(row | {"matches": matches})
        return
    reporter.add(result)
    if reporter.verbosity.quiet:
        return
    out = console()
    if matches:
        _tell_matches(matches)
    if "relative_error" in facts:
        steps = f" after {facts['iterations']} iterations" if "iterations" in facts else ""
        out.print(f"the factors leave {facts['relative_error']:.1%} of the magnitudes{steps}")
    out.print(f"what the sounds leave of the song: {facts['residual_db']:.0f} dB")


def _tell_matches(matches: list[dict[str, Any]]) -> None:
    """Print which component is which, beside what the song itself would be worth."""
    out, columns = console(), {"SI-SDR": "si_sdr", "SNR": "snr", "song's SI-SDR": "song_si_sdr"}
    made = table("reference", "component", *columns, right=tuple(columns))
    for row in matches:
        cells = (f"{row[m]:.2f}" if row[m] is not None else "-" for m in columns.values())
        made.add_row(row["reference"] or "-", row["component"] or "-", *cells)
    out.print(made)
    found = [row for row in matches if row["si_sdr"] is not None]
    if found:
        mean, song = (
            sum(row[what] for row in found) / len(found) for what in ("si_sdr", "song_si_sdr")
        )
        out.print(
            f"mean SI-SDR of {len(found)} references: {mean:.2f} dB; of the song in their place:"
            f" {song:.2f} dB"
        )
    free = sum(row["reference"] is None for row in matches)
    if free:
        out.print(f"components that belong to no reference: {free} (see --clusters)")
