"""How the folder of a model is told from others, without reading its settings."""

import json
from pathlib import Path

CONFIG_FILE, CHECKPOINTS = "config.json", "checkpoint"


def is_model_folder(path: str | Path) -> bool:
    """Tell whether a path is the folder of a model, even if its settings are damaged.

    Args:
        path: Of anything.

    Returns:
        Whether it is a folder with checkpoints, or with a config.json that is not plainly that of
        another program.

    Example:
        >>> is_model_folder("no such folder")
        False
    """
    folder = Path(path)
    try:
        if (folder / CHECKPOINTS).is_dir():
            return True
        if not (folder / CONFIG_FILE).is_file():
            return False
    except (OSError, ValueError):  # no name that a file may have
        return False
    try:
        contents = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(contents, dict) and "model_params" in contents
