"""Score a separator on whole songs: `python -m unweave.training.recipe.evaluate FOLDER...`.

Every folder that holds stems becomes a rebalanced mixture (see `rebalanced_stems`), which is
separated and compared with its parts. Beside every SDR stand the SI-SDR and what no separation
at all would score: the mixture itself and the mixture divided by the number of stems; for the
bass also the best of three low-pass filters.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from unweave.evaluation import sdr, si_sdr
from unweave.models import DEFAULT_MODEL
from unweave.separation import Separator
from unweave.training.recipe.corpus import SAMPLE_RATE, STEMS
from unweave.training.recipe.validation import rebalanced_stems

CUTOFFS = (80, 120, 200)


def find_songs(folders: list[Path]) -> list[Path]:
    """Return the folders, at any depth, that hold at least two stems."""
    found = []
    for root in folders:
        for folder in sorted({root, *(p for p in root.rglob("*") if p.is_dir())}):
            stems = {path.stem for path in folder.glob("*.*") if path.suffix in (".ogg", ".wav")}
            if len(stems & set(STEMS)) >= 2:
                found.append(folder)
    return found


def low_pass(audio: Tensor, cutoff: float) -> Tensor:
    """Cut everything above a frequency (fourth-order Butterworth magnitude, no phase shift).

    Args:
        audio: shape (..., time) at 44.1 kHz.
        cutoff: -3 dB point in hertz.
    """
    size = audio.shape[-1]
    frequency = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    gain = (1 + (frequency / cutoff) ** 8).rsqrt()
    passed: Tensor = torch.fft.irfft(torch.fft.rfft(audio) * gain, size)
    return passed


def score_song(folder: Path, separator: Separator) -> list[tuple[str, dict[str, float]]]:
    """Separate one song and score every stem that sounds.

    Args:
        folder: of the song's stems.
        separator: to be scored.

    Returns:
        For every stem, its name and its figures in dB.
    """
    stems = torch.from_numpy(np.ascontiguousarray(rebalanced_stems(folder).transpose(0, 2, 1)))
    mixture = stems.sum(0)
    estimates = separator.separate(mixture, SAMPLE_RATE)
    references = dict(zip(STEMS, stems, strict=True))
    references["accompaniment"] = mixture - references["vocals"]
    estimates["accompaniment"] = mixture - estimates["vocals"]
    rows = []
    for name, reference in references.items():
        if not reference.any():
            continue
        share = 1 - 1 / len(STEMS) if name == "accompaniment" else 1 / len(STEMS)
        row = {
            "SDR": float(sdr(estimates[name], reference)),
            "mixture": float(sdr(mixture, reference)),
            "mixture/4": float(sdr(share * mixture, reference)),
            "SI-SDR": float(si_sdr(estimates[name], reference)),
            "SI-SDR mixture": float(si_sdr(mixture, reference)),
        }
        if name == "bass":
            passed = [float(sdr(low_pass(mixture, cutoff), reference)) for cutoff in CUTOFFS]
            row["low-pass"] = max(passed)
        rows.append((name, row))
    return rows


def evaluate(
    folders: Annotated[list[Path], typer.Argument(help="Songs, or folders of songs.")],
    model: Annotated[str, typer.Option(help="Name or weights file.")] = DEFAULT_MODEL,
) -> None:
    """Print the table of SDR, SI-SDR and baselines in dB, song by song and in the mean."""
    separator = Separator(model)
    columns = ("SDR", "mixture", "mixture/4", "low-pass", "SI-SDR", "SI-SDR mixture")
    print(f"{'song':<14}{'stem':<15}" + "".join(f"{c:>16}" for c in columns))
    collected: dict[str, list[dict[str, float]]] = {}
    songs = find_songs(folders)
    for folder in songs:
        for name, row in score_song(folder, separator):
            collected.setdefault(name, []).append(row)
            _line(folder.name, name, row, columns)
    if len(songs) > 1:
        for name, rows in collected.items():
            keys = [c for c in columns if all(c in row for row in rows)]
            _line("mean", name, {k: float(np.mean([r[k] for r in rows])) for k in keys}, columns)


def _line(song: str, stem: str, row: dict[str, float], columns: tuple[str, ...]) -> None:
    cells = "".join(f"{row[c]:>16.2f}" if c in row else " " * 16 for c in columns)
    print(f"{song:<14}{stem:<15}{cells}", flush=True)


if __name__ == "__main__":
    typer.run(evaluate)
