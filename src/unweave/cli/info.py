"""`unweave info`: what a bug report needs to say."""

import sys
from typing import Annotated, Any

import typer

from unweave import __version__
from unweave.cli.output import console, print_json, table

PACKAGES = ("torch", "numpy", "soundfile", "soxr", "safetensors", "av")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show versions, devices, folders and audio formats."""
    facts = _facts()
    if as_json:
        print_json(facts)
        return
    rows = table("what", "here")
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        rows.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    console().print(rows)


def _facts() -> dict[str, Any]:
    import platform

    import platformdirs
    import soundfile
    import torch

    from unweave.audio import supported_formats

    formats = supported_formats()
    return {
        "unweave": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES}
        | {"libsndfile": soundfile.__libsndfile_version__},
        "devices": _devices(),
        "threads": torch.get_num_threads(),
        "cache": platformdirs.user_cache_dir("unweave"),
        "reads": sorted(name for name, can in formats.items() if can["read"]),
        "writes": sorted(name for name, can in formats.items() if can["write"]),
    }


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> list[str]:
    import torch

    found = ["cpu"]
    found += [
        f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())
    ]
    return found + (["mps"] if torch.backends.mps.is_available() else [])
