"""Write the tables of settings into docs/training.md: python docs/training.py."""

import re
from pathlib import Path

from unweave.training.config_groups import GROUPS

PAGE = Path(__file__).with_suffix(".md")
MARKS = ("<!-- settings -->\n", "<!-- end of settings -->\n")
TITLES = {
    "model_params": "The network, which only `unweave config` can change",
    "dataset_params": "The data",
    "training_params": "The training",
    "visualizer_params": "Pictures, sound and logs",
}


def shown(value: object) -> str:
    """Write a default as config.json has it."""
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def tables() -> str:
    """Make a table of each group from the schema of the settings."""
    made = []
    for group, kind in GROUPS.items():
        made += [f"**{TITLES[group]}** (`{group}`)", "", "| setting | default | what it is |"]
        made.append("|---|---|---|")
        for name, field in kind.model_fields.items():
            others = [old for old, new in kind.aliases.items() if new == name]
            also = f" (also `{'`, `'.join(others)}`)" if others else ""
            told = field.description.replace("|", "\\|")
            made.append(f"| `{name}` | {shown(field.default)} | {told}{also} |")
        made.append("")
    return "\n".join(made)


def page() -> str:
    """Give the page with the tables as they should be."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), re.DOTALL)
    return pattern.sub(lambda _: MARKS[0] + tables() + MARKS[1], text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
