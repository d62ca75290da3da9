"""Options of the command line for the settings of a model, made from their schema."""

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

# Every option is read by the command within, which is only made when it is asked for.
OUTER = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}
_INNER = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda word: word.replace("_", "-"),
}
PANELS = {
    "model_params": "Model",
    "dataset_params": "Data",
    "training_params": "Training",
    "visualizer_params": "Pictures, sound and logs",
}
_NO_OPTIONS = {"model_type", "model_name", "save_dir", "learn_filterbanks"}
_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}

Found = dict[str, Any]


def run_with_settings(
    context: typer.Context,
    door: Callable[..., None],
    own: Iterable[inspect.Parameter],
    *,
    doc: str,
    groups: Iterable[str] = tuple(PANELS),
) -> None:
    """Read a command's words by its own options and one for each setting, and run it.

    Args:
        context: Of the outer command, which has read nothing.
        door: Called with its own options, and `settings`: those given, by name.
        own: Its options; one named debug is not passed on.
        doc: Its help.
        groups: Of the settings that it takes.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    command = _with_settings(door, list(own), doc, list(groups))
    app.command(context.info_name, context_settings=_INNER, no_args_is_help=True)(command)
    words = _plain(context.args)
    code = app(words, prog_name=context.command_path, standalone_mode=False)
    raise typer.Exit(code or 0)  # an interruption, too, is no more than a code here


def _with_settings(
    door: Callable[..., None], own: list[inspect.Parameter], doc: str, groups: list[str]
) -> Callable[..., None]:
    """Give the door to a command an option for each setting."""
    from unweave.training.config_groups import GROUPS

    names = {each.name for each in own}
    parameters = list(own)
    for group in groups:
        for name, field in GROUPS[group].model_fields.items():
            if name not in _NO_OPTIONS | names:
                parameters.append(_option(name, field, PANELS[group]))

    def command(**given: Any) -> None:
        settings = {
            key: ",".join(value) if isinstance(value, list) else value
            for key, value in given.items()
            if key not in names and value is not None and value != []
        }
        door(**{key: given[key] for key in names - {"debug"}}, settings=settings)

    command.__doc__ = doc
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def parameter(
    name: str, kind: Any, about: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    """Describe an option or argument of a command.

    Args:
        name: Of the parameter.
        kind: Its type.
        about: What typer is told of it.
        default: Its value where none is given.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=Annotated[kind, about])


def shown(value: object) -> str:
    """Write a value as people read it.

    Args:
        value: Of a setting.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _option(name: str, field: Any, panel: str) -> inspect.Parameter:
    """Make an option of a setting; values stay text, which the configuration reads."""
    word = name.replace("_", "-")
    text = str(field.annotation)
    choices = _choices(field.annotation)
    first, _, rest = field.description.partition(" ")
    told = f"{first.capitalize() if first.isalpha() else first} {rest}".strip()
    if choices:
        told += f": {', '.join(choices)}"
    told += f". \\[{shown(_plain_default(field.default))}]"
    about: dict[str, Any] = {"help": told, "rich_help_panel": panel, "show_default": False}
    if field.annotation is bool:
        return parameter(name, bool | None, typer.Option(f"--{word}/--no-{word}", **about), None)
    kind: Any = list[str] | None if "tuple" in text else str | None
    metavar = "NAME" if choices else "LIST" if "tuple" in text else _metavar(text)
    return parameter(name, kind, typer.Option(f"--{word}", metavar=metavar, **about), None)


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
