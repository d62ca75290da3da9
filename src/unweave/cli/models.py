"""`unweave models`: what can be given to --model."""

import sys
from typing import Annotated, Any

import typer

from unweave.cli.output import console, print_json, table


def models(
    action: Annotated[str, typer.Argument(help="list, or info NAME.")] = "list",
    name: Annotated[str | None, typer.Argument(help="Of a model, for info.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the trained models, or show the card of one."""
    from unweave.errors import ParameterError
    from unweave.models import DEFAULT_MODEL, list_models

    if action == "info":
        _show_card(name or DEFAULT_MODEL, as_json)
        return
    if action != "list":
        wanted = name or (action if action in list_models() else "NAME")
        raise ParameterError(f"{action!r} must be list or info: try `unweave models info {wanted}`")
    if name:
        raise ParameterError(f"list takes no name: `unweave models info {name}` shows the card")
    rows = table("model", "description", "licence", "MB", right=("MB",))
    for known in list_models():
        facts = _facts(known)
        if as_json:
            print_json(facts)
        mark = " (default)" if known == DEFAULT_MODEL else ""
        size = f"{facts['bytes'] / 1e6:.1f}"
        rows.add_row(known + mark, facts["description"], facts["licence"], size)
    if not as_json:
        console().print(rows)


def _facts(name: str) -> dict[str, Any]:
    from unweave.models import model_info

    info = model_info(name)
    return {
        "name": info.name,
        "description": info.description,
        "licence": info.licence,
        "architecture": info.architecture,
        "weights": str(info.weights),
        "bytes": info.weights.stat().st_size if info.weights.exists() else 0,
    }


def _show_card(name: str, as_json: bool) -> None:
    from rich.markdown import Markdown

    from unweave.models import model_info

    if as_json:
        print_json(_facts(name))
        return
    card = model_info(name).card
    if not card.exists():
        rows = table("what", "value")
        for key, value in _facts(name).items():
            rows.add_row(key, str(value))
        console().print(rows)
        return
    text = card.read_text(encoding="utf-8")
    text = text.split("---\n", 2)[-1] if text.startswith("---") else text
    if sys.stdout.isatty():
        console().print(Markdown(text))
    else:
        print(text.strip())
