"""Configuration files."""

import json
from pathlib import Path
from typing import Any

from unweave.errors import ConfigError
from unweave.training.config import Config
from unweave.training.files import replacing

_MAX_BYTES = 1 << 20


def load_config(path: str | Path) -> Config:
    """Read a configuration file.

    Args:
        path: Of the file, or of the model folder that holds it as `config.json`.

    Returns:
        The configuration; its `save_dir` is the folder that the file lies in.

    Raises:
        ConfigError: It is missing, unreadable or foreign, or a setting is unknown or out of range;
            the text names the file and the setting.

    Example:
        >>> save_config(Config.template("OpenUnmix", targets="drums"), "config.json")
        >>> load_config("config.json").dataset_params.targets
        ('drums',)
    """
    file = Path(path)
    if file.is_dir():
        file /= "config.json"
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{file}: {reason}: `unweave config` makes a configuration") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{file}: is no configuration: larger than {_MAX_BYTES} bytes")
    try:
        contents = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file}: is no JSON: {reason}") from error
    try:
        if not isinstance(contents, dict) or not contents:
            raise ConfigError("is no configuration: groups such as model_params are expected")
        # A model folder may have been moved since
        return Config.of(contents, save_dir=str(file.resolve().parent))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def save_config(config: Config, path: str | Path) -> None:
    """Write a configuration file, which appears complete or not at all.

    Args:
        config: The settings.
        path: Of the file.

    Raises:
        ConfigError: It cannot be written.

    Example:
        >>> save_config(Config(), "config.json")
    """
    file = Path(path)
    text = json.dumps(config.as_dict(), indent=2, ensure_ascii=False) + "\n"
    try:
        with replacing(file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror or error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is given twice, of which JSON would silently keep the last."""
    made = dict(pairs)
    for name, _ in pairs if len(made) < len(pairs) else []:
        if [key for key, _ in pairs].count(name) > 1:
            raise ValueError(f"{name!r} is given twice")
    return made
