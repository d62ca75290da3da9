"""The tables of settings in docs/training.md are those of the schema."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "training.py"


def test_the_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("docs_training", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.page(), "run python docs/training.py"
    assert "| `max_epochs` | 10 |" in module.page()
