"""The card of a model: what it does, what it was trained on and how, how well it does it."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from unweave import __version__
from unweave.training.config import Config
from unweave.training.cores import Core
from unweave.training.model_folder import ModelFolder

# Where things lay on the machine of the training is nobody else's affair.
_PRIVATE = {"save_dir", "dataset_path", "cache_dir"}


def card_of(
    place: ModelFolder,
    config: Config,
    network: nn.Module,
    about: Mapping[str, str],
    *,
    file: Path,
    core: Core | None,
) -> str:
    """Write the card of a model.

    Args:
        place: The model's folder.
        config: Its settings.
        network: As it is exported.
        about: Text of its weights file.
        file: That the card is about.
        core: What the file holds, if that is the core of the network only.

    Returns:
        Markdown.
    """
    data, name = config.dataset_params, config.model_params.model_name
    targets = ", ".join(data.targets)
    size = sum(p.numel() for p in network.parameters()) / 1e6
    channels = {1: "mono", 2: "stereo"}.get(data.num_channels, f"{data.num_channels} channels")
    facts = [
        ("file", f"`{file.name}`, made by unweave {__version__}"),
        ("network", f"{config.kind.name}: {config.kind.summary}; {size:.2f} million parameters"),
        ("works at", f"{data.sample_rate} Hz, {channels}"),
        ("trained", f"{about.get('unweave.epoch', '?')} epochs, {_steps(about)} updates"),
        ("loss", f"{config.training_params.criterion}, {_reached(about)}"),
    ]
    lines = ["---", "library_name: unweave", "tags: [audio, music-source-separation]", "---"]
    lines += [f"# {name}", "", f"Separates {targets} from a mixture of music.", ""]
    lines += ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in facts), ""]
    lines += ["## Use", "", *_use(file, core), "", "## Data", "", _data(config), ""]
    lines += ["## Scores", "", *_scores(place.evaluation), "", "## Settings", ""]
    lines += ["```json", json.dumps(_public(config), indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _steps(about: Mapping[str, str]) -> str:
    return about.get("unweave.step", "?")


def _reached(about: Mapping[str, str]) -> str:
    for key, told in (("val_loss", "in validation"), ("loss", "in training")):
        if value := about.get(f"unweave.{key}"):
            return f"{value} {told}"
    return "not known"


def _use(file: Path, core: Core | None) -> list[str]:
    if core is None:
        command = f"unweave separate song.mp3 --model {file.name}"
        return ["```bash", command, "```"]
    shape = ", ".join(map(str, core.example.shape))
    facts = ", ".join(f"{key} {value}" for key, value in core.facts.items())
    return [core.story, "", f"Input `{core.enters}` ({shape}), output `{core.leaves}`. {facts}."]


def _data(config: Config) -> str:
    data = config.dataset_params
    folder = Path(data.dataset_path).name if data.dataset_path else "not known"
    varied = "varied at random" if data.augment else "as they are"
    return (
        f"Excerpts of {data.sample_length:g} s of the data set `{folder}`, {varied};"
        f" {data.max_num_samples} an epoch. Say here what the data set is and under which licence."
    )


def _scores(path: Path) -> list[str]:
    """Make a Markdown table of evaluation.csv."""
    if not path.is_file():
        return ["None were measured."]
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    head, *body = rows or [[]]
    made = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return ["Of validation tracks, in dB.", "", *made, *(f"| {' | '.join(row)} |" for row in body)]


def _public(config: Config) -> dict[str, object]:
    made = config.as_dict()
    for group in made.values():
        if isinstance(group, dict):
            for key in _PRIVATE & set(group):
                del group[key]
    return made
