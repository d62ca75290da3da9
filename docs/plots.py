"""Draw the pictures of docs/plots.md from the bundled song.

python docs/plots.py
"""

from pathlib import Path

import unweave
from unweave import plots

HERE = Path(__file__).parent
SONG = HERE.parent / "examples" / "song"
START, SECONDS = 14, 8


def main() -> None:
    names = ("mixture", "vocals", "drums", "bass", "other")
    read = {n: unweave.read(SONG / f"{n}.ogg") for n in names}
    rate = read["mixture"][1]
    sounds = {n: x for n, (x, _) in read.items()}
    plots.save(plots.stems(sounds, sample_rate=rate), HERE / "plots-stems.png", dpi=80)

    part = slice(START * rate, (START + SECONDS) * rate)
    vocals = unweave.separate(sounds["mixture"], rate)["vocals"][:, part]
    axes = plots.compare(vocals, sounds["vocals"][:, part], sample_rate=rate)
    plots.save(axes, HERE / "plots-compare.png", dpi=80)


if __name__ == "__main__":
    main()
