"""What is wrong with a configuration, in one line."""

import difflib
from collections.abc import Iterable
from typing import Any

from unweave.training._schema import ValidationError
from unweave.training.config_groups import GROUPS

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "finite_number": "a finite number",
    "literal_error": "",
}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Ask whether something similar was meant.

    Args:
        name: What was given.
        known: What there is.

    Returns:
        A question that ends in a space, or nothing.

    Example:
        >>> suggestion("drop_p", ["dropout_p", "lr"])
        "did you mean 'dropout_p'? "
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? " if close else ""


def explained(error: ValidationError) -> str:
    """Put the first fault into words.

    Args:
        error: As pydantic tells it.

    Returns:
        One line that names the setting, its value and what is allowed.
    """
    faults = error.errors(include_url=False)
    # Unknown names come first: they are often why something else is amiss
    first = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return _in_words(first) + more


def _in_words(fault: Any) -> str:
    places = [str(part) for part in fault["loc"]]
    group = places[0] if places else ""
    known = GROUPS[group].model_fields if group in GROUPS else {**GROUPS, "version": None}
    where = ".".join(places[:2])
    if fault["type"] == "extra_forbidden":
        if group not in GROUPS:
            return (
                f"unknown group {group!r}: {suggestion(group, known)}known are {', '.join(known)}"
            )
        home = next((g for g, kind in GROUPS.items() if places[1] in kind.model_fields), None)
        hint = f"it belongs into {home}" if home else suggestion(places[1], known).strip()
        return f"unknown setting {where!r}: {hint or 'known are ' + ', '.join(known)}"
    if fault["type"] == "value_error":
        text = str(fault["ctx"]["error"])
        return f"{where}={fault['input']!r} {text}" if places else text
    if group == "version":
        return (
            f"version={fault['input']!r} is not known to this unweave, which reads version 1:"
            " update unweave"
        )
    if group and len(places) == 1:
        return f"{where} must be a group of settings, not {_short(fault['input'])}"
    return f"{where}={_short(fault['input'])} {_requirement(fault)}"


def _requirement(fault: Any) -> str:
    kind = str(fault["type"]).removesuffix("_parsing").removesuffix("_type")
    if kind == "int_from_float":
        return "must be a whole number"
    if kind == "literal_error":
        return f"must be {fault['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        return "must be the name of a source, without slashes and not beginning with a dot"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}"
    return str(fault["msg"]).replace("Input should", "must").replace("Value should", "must")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
