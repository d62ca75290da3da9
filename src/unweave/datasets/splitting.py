"""Takes some tracks of a data set for validation."""

from collections.abc import Collection, Sequence

import numpy as np

from unweave.datasets.drawing import Signals
from unweave.errors import DatasetError, ParameterError

# The tracks that MUSDB18's authors set aside for validation, so that figures can be compared.
MUSDB_VALIDATION_TRACKS = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


def split_tracks(
    tracks: Sequence[Signals], fraction: float, *, seed: int, lone: bool = False
) -> tuple[list[Signals], list[Signals]]:
    """Divide tracks into those to train on and those to validate on.

    Args:
        tracks: The tracks.
        fraction: Share that is taken for validation.
        seed: Of the draw.
        lone: Whether each track is a lone file of one source; then files of every source are taken.

    Returns:
        The tracks kept and the tracks taken, in their order.

    Raises:
        DatasetError: There are too few tracks.
        ParameterError: `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ParameterError(f"fraction={fraction!r} must lie between 0 and 1")
    names = [track.name for track in tracks]
    taken = {name for name in MUSDB_VALIDATION_TRACKS if name in names}
    if len(taken) < len(MUSDB_VALIDATION_TRACKS) or len(taken) == len(names):
        groups: dict[str, list[str]] = {}
        for track in tracks:
            groups.setdefault(next(iter(track.stems), "") if lone else "", []).append(track.name)
        rng = np.random.default_rng(seed)
        taken = {name for group in groups.values() for name in _some(group, fraction, rng)}
    kept = [track for track in tracks if track.name not in taken]
    return kept, [track for track in tracks if track.name in taken]


def _some(names: Collection[str], fraction: float, rng: np.random.Generator) -> list[str]:
    if len(names) < 2:
        raise DatasetError(
            f"there is only one track ({next(iter(names))!r}): a validation split needs two or more"
        )
    number = min(max(1, round(fraction * len(names))), len(names) - 1)
    return [str(name) for name in rng.permutation(sorted(names))[:number]]
