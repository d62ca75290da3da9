"""An export is a promise: adding or removing one is a decision, made in public_names.txt.

`python tests/house/public.py > tests/house/public_names.txt` writes the list anew.
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent


def load_public():
    spec = importlib.util.spec_from_file_location("house_public", HERE / "public.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_public_names_are_those_of_the_list():
    listed = (HERE / "public_names.txt").read_text(encoding="utf-8").split()
    assert load_public().public_names() == listed


def test_every_listed_name_can_be_imported():
    public = load_public()
    for full in public.public_names():
        module, name = full.rsplit(".", 1)
        assert getattr(sys.modules[module], name) is not None
