"""Draw docs/evaluation.png: scores of the bundled song, window by window.

python docs/evaluation.py
"""

from pathlib import Path

import torch

import unweave
from unweave import plots
from unweave.evaluation import baseline, score_track

HERE = Path(__file__).parent
SONG = HERE.parent / "examples" / "song"
NAMES = ("vocals", "drums", "bass")


def main() -> None:
    mixture, rate = unweave.read(SONG / "mixture.ogg")
    true = {n: unweave.read(SONG / f"{n}.ogg")[0] for n in (*NAMES, "other")}
    methods = {
        "mixture": baseline("mixture", mixture, true),
        "bandmask": unweave.separate(mixture, rate),
        "irm (knows the stems)": baseline("irm", mixture, true),
    }
    sounding = slice(14 * rate, 26 * rate)  # where these three play
    scores: dict[str, dict[str, list[float]]] = {}
    for method, stems in methods.items():
        parts = [{n: x[n][:, sounding].contiguous() for n in NAMES} for x in (stems, true)]
        found = score_track(*parts, sample_rate=rate)
        scores[method] = {n: torch.as_tensor(s.frames.sdr).tolist() for n, s in found.items()}
    ax = plots.distribution(scores, label="BSSEval SDR of windows of 1 s (dB)")
    plots.save(ax, HERE / "evaluation.png", dpi=90)


if __name__ == "__main__":
    main()
