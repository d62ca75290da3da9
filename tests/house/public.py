"""What is public: the names in `__all__` of the package and of its parts."""

import importlib
import pkgutil
from collections.abc import Iterator

import unweave


def public_modules() -> list[str]:
    """Name the modules that declare what they export."""
    names = ["unweave"]
    names += [m.name for m in pkgutil.walk_packages(unweave.__path__, "unweave.") if m.ispkg]
    return [n for n in names if hasattr(importlib.import_module(n), "__all__")]


def public_names() -> list[str]:
    """Name everything public, as `module.name`."""
    return sorted(
        f"{module}.{name}"
        for module in public_modules()
        for name in importlib.import_module(module).__all__
    )


def public_objects() -> Iterator[tuple[str, object]]:
    """Give the public functions and classes, each once, and the public methods of the classes."""
    seen: set[int] = set()
    for full in public_names():
        module, name = full.rsplit(".", 1)
        thing = getattr(importlib.import_module(module), name)
        if id(thing) in seen or not (getattr(thing, "__module__", "") or "").startswith("unweave"):
            continue
        seen.add(id(thing))
        if callable(thing):
            yield full, thing


if __name__ == "__main__":
    print("\n".join(public_names()))
