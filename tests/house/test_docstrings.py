"""Docstrings and signatures cannot drift apart."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("house_public", HERE / "public.py")
public = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = public
spec.loader.exec_module(public)

OBJECTS = list(public.public_objects())
SECTION = re.compile(r"^(\w[\w ]*):$", re.MULTILINE)


def documented(doc: str) -> list[str]:
    """Names of the section Args (or, of a dataclass, Attributes)."""
    parts = SECTION.split(inspect.cleandoc(doc))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    text = sections.get("Args", sections.get("Attributes", ""))
    return re.findall(r"^ {4}(\*{0,2}\w+):", text, re.MULTILINE)


def signature(thing: object) -> list[str]:
    names = []
    for parameter in inspect.signature(thing).parameters.values():
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        names.append(star + parameter.name)
    return [name for name in names if name not in ("self", "cls")]


def methods(thing: type) -> list[tuple[str, object]]:
    return [
        (name, member)
        for name, member in vars(thing).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]


@pytest.mark.parametrize(("name", "thing"), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_documented_arguments_are_those_of_the_signature(name, thing):
    doc = thing.__doc__ or ""
    assert doc.strip(), f"{name} has no docstring"
    is_protocol = getattr(thing, "_is_protocol", False)
    if not is_protocol and signature(thing):
        assert documented(doc) == signature(thing)
    for method, member in methods(thing) if inspect.isclass(thing) else ():
        assert member.__doc__, f"{name}.{method} has no docstring"
        if "Args:" in member.__doc__ or signature(member):
            assert documented(member.__doc__) == signature(member), f"{name}.{method}"


@pytest.mark.parametrize(("name", "thing"), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_everything_public_has_an_example(name, thing):
    data = hasattr(thing, "__dataclass_fields__") or getattr(thing, "_is_protocol", False)
    error = inspect.isclass(thing) and issubclass(thing, Exception)
    if not data and not error:
        assert ">>>" in (thing.__doc__ or ""), f"{name} has no example"
