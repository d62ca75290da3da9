"""`unweave config`: make a model's folder, or change the settings of one."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from unweave.cli.output import console, print_json, table

if TYPE_CHECKING:
    from unweave.training import Config, ModelFolder

# Every option is read by the command within, which is only made when it is asked for.
SETTINGS = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}
_NO_OPTIONS = {"model_type", "model_name", "save_dir", "learn_filterbanks"}
_PANELS = {
    "model_params": "Model",
    "dataset_params": "Data",
    "training_params": "Training",
    "visualizer_params": "Pictures, sound and logs",
}
_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}

Found = dict[str, Any]


def config(context: typer.Context) -> None:
    """Make a model's folder, or change its settings."""
    _command()(_plain(context.args), prog_name=context.command_path, standalone_mode=False)


def _command() -> typer.Typer:
    """Make the command from the schema of the settings."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    words = {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda word: word.replace("_", "-"),
    }
    app.command("config", context_settings=words, no_args_is_help=True)(_with_settings(_configure))
    return app


def _configure(
    name: str, model: str | None, save: Path, display: bool, as_json: bool, settings: Found
) -> None:
    from unweave.errors import ConfigError
    from unweave.training.config_models import MODEL_TYPES
    from unweave.training.model_folder import CONFIG_FILE

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
        _warn(folder, before, after)
    return before, after, folder.config_file


def _warn(folder: "ModelFolder", before: "Config", after: "Config") -> None:
    """Say so where weights no longer fit."""
    if not any(folder.checkpoints.glob("*")):
        return
    from unweave.training.network import architecture_of

    if architecture_of(before) != architecture_of(after):
        typer.echo(
            f"note: the weights in {folder.checkpoints} are those of other settings; training"
            " cannot go on from them (undo the change, or make a new model)",
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
                rows.add_row(key, _shown(value))
            elif was != value:
                rows.add_row(key, _shown(was), _shown(value))
        if rows.row_count:
            out.print(group)
            out.print(rows)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _with_settings(door: Callable[..., None]) -> Callable[..., None]:
    """Give the door to the command an option for each setting."""
    from unweave.training.config_groups import GROUPS
    from unweave.training.config_models import MODEL_TYPES

    parameters = [
        _parameter("name", str, typer.Argument(help="Of the model, and of its folder.")),
        _parameter(
            "model",
            str | None,
            typer.Argument(help=f"Kind, for a new model: {', '.join(MODEL_TYPES)}."),
            None,
        ),
        _parameter("save", Path, typer.Option(help="Folder for the model's folder."), Path()),
        _parameter("display", bool, typer.Option("--display", help="Show what changed."), False),
        _parameter("as_json", bool, typer.Option("--json", help="Print the result."), False),
        _parameter("debug", bool, typer.Option("--debug", help="Show tracebacks."), False),
    ]
    own = {each.name for each in parameters}
    for group, kind in GROUPS.items():
        for name, field in kind.model_fields.items():
            if name not in _NO_OPTIONS:
                parameters.append(_option(name, field, _PANELS[group]))

    def command(**given: Any) -> None:
        settings = {
            key: ",".join(value) if isinstance(value, list) else value
            for key, value in given.items()
            if key not in own and value is not None and value != []
        }
        door(**{key: given[key] for key in own - {"debug"}}, settings=settings)

    command.__doc__ = (
        "Make the folder of a new model, or change the settings of one that is there.\n\n"
        "    unweave config my_model SpectrogramNetSimple --save models --targets vocals,drums\n\n"
        "    unweave config my_model --mask_activation relu --dropout_p 0.4 --display\n\n"
        "All settings are kept in NAME/config.json; nothing else is touched."
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameter(
    name: str, kind: Any, about: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=Annotated[kind, about])


def _option(name: str, field: Any, panel: str) -> inspect.Parameter:
    """Make an option of a setting; values stay text, which the configuration reads."""
    word = name.replace("_", "-")
    text = str(field.annotation)
    choices = _choices(field.annotation)
    first, _, rest = field.description.partition(" ")
    told = f"{first.capitalize() if first.isalpha() else first} {rest}"
    if choices:
        told += f": {', '.join(choices)}"
    told += f". \\[{_shown(_plain_default(field.default))}]"
    about: dict[str, Any] = {"help": told, "rich_help_panel": panel, "show_default": False}
    if field.annotation is bool:
        return _parameter(name, bool | None, typer.Option(f"--{word}/--no-{word}", **about), None)
    kind: Any = list[str] | None if "tuple" in text else str | None
    metavar = "NAME" if choices else "LIST" if "tuple" in text else _metavar(text)
    return _parameter(name, kind, typer.Option(f"--{word}", metavar=metavar, **about), None)


def _metavar(text: str) -> str:
    known = {"int": "INT", "float": "NUMBER", "bool": "BOOL"}
    return next((shown for word, shown in known.items() if word in text), "TEXT")


def _plain_default(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _choices(annotation: Any) -> list[str]:
    """Give the words that a setting may have."""
    if get_origin(annotation) is Literal:
        return [str(each) for each in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def _plain(words: list[str]) -> list[str]:
    """Know settings by their other names, and flags that are followed by true or false."""
    from unweave.training.config_groups import GROUPS

    aliases = {old: new for kind in GROUPS.values() for old, new in kind.aliases.items()}
    flags = {
        name
        for kind in GROUPS.values()
        for name, field in kind.model_fields.items()
        if field.annotation is bool
    }
    made: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        last = made[-1].removeprefix("--").replace("-", "_") if made else ""
        if option.startswith("--"):
            name = aliases.get(name, name)
            if equals and name in flags and value.lower() in _WORDS:
                option, equals, value = _flag(name, value), "", ""
            else:
                option = f"--{name.replace('_', '-')}"
            made.append(f"{option}{equals}{value}")
        elif made and made[-1].startswith("--") and last in flags and word.lower() in _WORDS:
            made[-1] = _flag(last, word)
        else:
            made.append(word)
    return made


def _flag(name: str, word: str) -> str:
    return f"--{'' if _WORDS[word.lower()] else 'no-'}{name.replace('_', '-')}"
