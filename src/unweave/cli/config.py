"""`unweave config`: make a model's folder, or change the settings of one."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unweave.cli.output import console, print_json, table
from unweave.cli.settings import Found, parameter, run_with_settings, shown

if TYPE_CHECKING:
    from unweave.training import Config, ModelFolder

_DOC = """Make the folder of a new model, or change the settings of one that is there.

    unweave config my_model SpectrogramNetSimple --save models --targets vocals,drums

    unweave config my_model --mask_activation relu --dropout_p 0.4 --display

All settings are kept in NAME/config.json; nothing else is touched."""


def config(context: typer.Context) -> None:
    """Make a model's folder, or change its settings."""
    from unweave.training.config_models import MODEL_TYPES

    kinds = f"Kind, for a new model: {', '.join(MODEL_TYPES)}."
    own = [
        parameter("name", str, typer.Argument(help="Of the model, and of its folder.")),
        parameter("model", str | None, typer.Argument(help=kinds), None),
        parameter("save", Path, typer.Option(help="Folder for the model's folder."), Path()),
        parameter("display", bool, typer.Option("--display", help="Show what changed."), False),
        parameter("as_json", bool, typer.Option("--json", help="Print the result."), False),
        parameter("debug", bool, typer.Option("--debug", help="Show tracebacks."), False),
    ]
    run_with_settings(context, _configure, own, doc=_DOC)


def _configure(
    name: str, model: str | None, save: Path, display: bool, as_json: bool, settings: Found
) -> None:
    from unweave.errors import ConfigError
    from unweave.training.config_models import MODEL_TYPES
    from unweave.training.places import CONFIG_FILE

    path = save / name
    there = (path / CONFIG_FILE).exists()
    if there and model is not None:
        raise ConfigError(
            f"{path / CONFIG_FILE}: exists: leave out {model!r} to change its settings, or give"
            " another name for a new model"
        )
    if not there and model is None:
        raise ConfigError(
            f"{path}: no such model: name its kind to make it, as in `unweave config {name}"
            f" SpectrogramNetSimple` (known are {', '.join(MODEL_TYPES)})"
        )
    before, after, file = _changed(path, settings) if there else _made(path, model or "", settings)
    if as_json:
        print_json({"file": str(file)} | after.as_dict())
        return
    if display:
        _show(before, after, everything=before is None or not settings)
    done = "made" if before is None else "changed" if before != after else "nothing changed"
    print(f"{file}: {after.model_params.model_type}, {done}")


def _made(path: Path, model: str, settings: Found) -> "tuple[None, Config, Path]":
    from unweave.training import Config, ModelFolder

    name = path.resolve().name
    made = Config.template(model, name, **settings, save_dir=str(path.resolve()))
    return None, made, ModelFolder.create(path, made).config_file


def _changed(path: Path, settings: Found) -> "tuple[Config, Config, Path]":
    from unweave.training import ModelFolder, load_config, save_config

    folder = ModelFolder.open(path)
    before = load_config(folder.config_file)
    after = before.changed(**settings)
    if after != before:
        save_config(after, folder.config_file)
        _warn(folder, after)
    return before, after, folder.config_file


def _warn(folder: "ModelFolder", after: "Config") -> None:
    """Say so where weights do not fit."""
    if not any(folder.checkpoints.glob("*.safetensors")):
        return
    from unweave.errors import WeightsError
    from unweave.training.network import differences

    with suppress(WeightsError):  # which `train` and `separate` will tell of
        if changed := differences(after, *folder.trained()):
            typer.echo(
                f"note: the weights in {folder.checkpoints} are of other settings"
                f" ({'; '.join(changed)}); training cannot go on from them (undo the change, or"
                " make a new model)",
                err=True,
            )


def _show(before: "Config | None", after: "Config", *, everything: bool) -> None:
    old: Mapping[str, Any] = {} if before is None else before.as_dict()
    out = console()
    columns = ("setting", "value") if before is None or everything else ("setting", "was", "is")
    for group, values in after.as_dict().items():
        if not isinstance(values, dict):
            continue
        rows = table(*columns)
        for key, value in values.items():
            was = old.get(group, {}).get(key)
            if everything:
                rows.add_row(key, shown(value))
            elif was != value:
                rows.add_row(key, shown(was), shown(value))
        if rows.row_count:
            out.print(group)
            out.print(rows)
