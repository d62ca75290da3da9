"""Trained models for others: weights with a card, or the network's core for other run times."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from unweave.errors import DependencyError, ParameterError, WeightsError
from unweave.models import load_weights
from unweave.models.weights import save_weights, weights_metadata
from unweave.training.card import card_of
from unweave.training.checkpoints import cannot_write
from unweave.training.cores import Core, core_of
from unweave.training.files import replacing
from unweave.training.model_folder import ModelFolder
from unweave.training.network import differences

Format = Literal["safetensors", "onnx", "pt2"]
_MEANT = (
    "The tensor attributes self",  # LSTMs keep their weights under two names
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # torch's own use of torch
)


def export_model(
    folder: str | Path,
    path: str | Path,
    *,
    format: Format | None = None,
    half: bool = False,
    frames: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the best weights of a model for others to use, and a card that says what they are.

    Safetensors hold all that `Separator(path)` needs. ONNX and PyTorch's own pt2 hold the core of
    the network, without the transforms around it, for inputs of one size; the card says what goes
    in and what comes out.

    Args:
        folder: Of the model.
        path: Of the file; the card lies beside it, as a Markdown file of the same name.
        format: "safetensors", "onnx" or "pt2"; None goes by the suffix of `path`.
        half: Store weights in half precision; safetensors only.
        frames: Of the input of the core: spectral frames, or samples of a network that sees the
            waveform; None takes those of an excerpt of the training.
        overwrite: Whether to replace files that are there.

    Returns:
        The paths of the file and of its card.

    Raises:
        ConfigError: There is no such model.
        WeightsError: It has no weights yet, or they are damaged or not those of the settings.
        ParameterError: The format is unknown, a file is there, or the network has no core that can
            be exported.
        DependencyError: ONNX is not installed.
        UnweaveError: A file cannot be written; what was there is kept.

    Example:
        >>> export_model("no_such_model", "vocals.safetensors")
        Traceback (most recent call last):
        unweave.errors.ConfigError: no_such_model: no such model folder: ...
    """
    place, target = ModelFolder.open(folder), Path(path)
    kind = _format(target, format)
    card = target.with_suffix(".md")
    for each in (target, card):
        if each.exists() and not overwrite:
            raise ParameterError(f"{each}: exists; --overwrite (overwrite=True) replaces it")
    if half and kind != "safetensors":
        raise ParameterError("half precision is for safetensors; other run times have their own")
    if kind == "onnx":
        _require_onnx()
    config = place.load_config()
    weights, (architecture, arguments) = place.weights(), place.trained()
    if changed := differences(config, architecture, arguments):
        raise WeightsError(
            f"{weights}: is of another network than {place.config_file.name} describes"
            f" ({'; '.join(changed)}): put that back (`unweave config` does)"
        )
    network, about = load_weights(weights), weights_metadata(weights)
    core = None if kind == "safetensors" else core_of(network, config, frames)
    try:
        with replacing(target) as part:
            if core is None:
                save_weights(
                    part,
                    network,
                    architecture=architecture,
                    config=arguments,
                    metadata={k: v for k, v in about.items() if k.startswith("unweave.")},
                    dtype=torch.float16 if half else None,
                )
            else:
                _write_core(part, core, kind)
        text = card_of(place, config, network, about, file=target, core=core)
        with replacing(card) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(target, error) from error
    return [target, card]


def _format(path: Path, format: str | None) -> str:
    found = format or path.suffix.removeprefix(".")
    if found not in get_args(Format):
        given = f"format={format!r}" if format else f"{str(path)!r} ends in {path.suffix!r}:"
        raise ParameterError(f"{given} must be one of {', '.join(get_args(Format))}")
    return found


def _require_onnx() -> None:
    for name in ("onnx", "onnxscript"):
        if importlib.util.find_spec(name) is None:
            raise DependencyError(f"ONNX files need {name}: pip install 'unweave[onnx]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling of operators that it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        for text in _MEANT:
            warnings.filterwarnings("ignore", message=text)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _write_core(path: Path, core: Core, kind: str) -> None:
    about = {f"unweave.{key}": json.dumps(value) for key, value in core.facts.items()}
    module: nn.Module = core.module.eval()
    with _quiet():
        if kind == "pt2":
            program = torch.export.export(module, (core.example,))
            with path.open("wb") as file:
                torch.export.save(program, file, extra_files=about)
            return
        made: Any = torch.onnx.export(
            module,
            (core.example,),
            input_names=[core.enters],
            output_names=[core.leaves],
            dynamo=True,
            verbose=False,
            external_data=False,
        )
        made.model.metadata_props.update(about)
        made.save(str(path), external_data=False)
