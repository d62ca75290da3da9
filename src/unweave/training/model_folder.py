"""The folder of a model: its configuration, its weights and what training left there.

    my_model
    ├── config.json         all settings
    ├── checkpoint
    │   ├── best.safetensors    weights of the best validation, which `separate` uses
    │   ├── last.safetensors    weights of the last epoch
    │   └── last.ckpt           everything that training needs to go on
    ├── evaluation.csv      scores
    ├── audio, images       separated excerpts of validation data, as sound and as pictures
    └── runs                logs for TensorBoard

Weights are safetensors that name their architecture; no other file is needed to use them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from unweave.errors import ConfigError, WeightsError
from unweave.training.config import Config
from unweave.training.config_files import load_config, save_config
from unweave.training.places import CHECKPOINTS, CONFIG_FILE

if TYPE_CHECKING:  # `unweave config` does without torch
    from torch import nn

_STEP = re.compile(r"_(\d+)\.safetensors$")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Where things lie in the folder of a model.

    Attributes:
        path: Of the folder.

    Example:
        >>> folder = ModelFolder.create("my_model", Config.template("AudioNetSimple"))
        >>> folder.load_config().model_params.model_type
        'AudioNetSimple'
        >>> folder.weights()
        Traceback (most recent call last):
        unweave.errors.WeightsError: my_model: has no weights yet: ...
    """

    path: Path

    @classmethod
    def create(cls, path: str | Path, config: Config) -> Self:
        """Make the folder with its configuration; nothing that is there is touched.

        Args:
            path: Of the folder.
            config: The settings.

        Returns:
            The folder.

        Raises:
            ConfigError: There is a configuration already, or the folder cannot be made.
        """
        folder = cls(Path(path))
        if folder.config_file.exists():
            raise ConfigError(f"{folder.config_file}: exists already")
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"{folder.path}: the folder cannot be made: {reason}") from error
        save_config(config, folder.config_file)
        return folder

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Find a model.

        Args:
            path: Of its folder.

        Returns:
            The folder.

        Raises:
            ConfigError: It is missing, or holds no configuration.
        """
        folder = cls(Path(path))
        if not folder.config_file.is_file():
            what = "holds no config.json" if folder.path.is_dir() else "no such model folder"
            raise ConfigError(
                f"{folder.path}: {what}: `unweave config {folder.path} SpectrogramNetSimple` makes"
                " one"
            )
        return folder

    @property
    def config_file(self) -> Path:
        """The settings."""
        return self.path / CONFIG_FILE

    @property
    def checkpoints(self) -> Path:
        """Folder of weights and states."""
        return self.path / CHECKPOINTS

    @property
    def best_weights(self) -> Path:
        """Weights of the best validation."""
        return self.checkpoints / "best.safetensors"

    @property
    def last_weights(self) -> Path:
        """Weights of the last epoch."""
        return self.checkpoints / "last.safetensors"

    @property
    def last_checkpoint(self) -> Path:
        """What training needs to go on."""
        return self.checkpoints / "last.ckpt"

    @property
    def audio(self) -> Path:
        """Folder of separated excerpts."""
        return self.path / "audio"

    @property
    def images(self) -> Path:
        """Folder of pictures."""
        return self.path / "images"

    @property
    def runs(self) -> Path:
        """Folder of logs."""
        return self.path / "runs"

    @property
    def evaluation(self) -> Path:
        """Scores, a row a track."""
        return self.path / "evaluation.csv"

    def load_config(self) -> Config:
        """Read the settings.

        Returns:
            The configuration.

        Raises:
            ConfigError: See `unweave.training.load_config`.
        """
        return load_config(self.config_file)

    def weights(self) -> Path:
        """Find the weights to use: the best; else the last; else those of the highest step.

        Returns:
            Path of a safetensors file.

        Raises:
            WeightsError: There are none.
        """
        for path in (self.best_weights, self.last_weights):
            if path.exists():
                return path
        steps = {}
        for path in self.checkpoints.glob("*.safetensors"):
            if found := _STEP.search(path.name):
                steps[int(found[1])] = path
        if steps:
            return steps[max(steps)]
        others = sorted(p.name for p in self.checkpoints.glob("*") if not p.name.startswith("."))
        if others:
            raise WeightsError(
                f"{self.checkpoints}: holds no safetensors weights, only {', '.join(others[:3])}:"
                " checkpoints of other kinds are not loaded, since they may run code; `unweave"
                " train` makes best.safetensors"
            )
        raise WeightsError(
            f"{self.path}: has no weights yet: `unweave train {self.path} path/to/dataset` first"
        )

    def load_network(self) -> "nn.Module":
        """Build the network with the weights to use.

        Returns:
            The network in evaluation mode, on the CPU.

        Raises:
            WeightsError: There are no weights, or they are damaged or foreign.
        """
        from unweave.models.weights import load_weights

        network, config = load_weights(self.weights()), self.load_config()
        if config.kind.architecture != "bandmask":
            vars(network)["sums_to_mixture"] = config.sums_to_mixture
        return network

    def trained(self) -> tuple[str, dict[str, Any]]:
        """Say how the network of the weights to use was built, whatever config.json says now.

        Returns:
            Its architecture and the arguments, as `architecture_of` gives them.

        Raises:
            WeightsError: There are no weights, or they are damaged or foreign.
        """
        from unweave.models.weights import weights_metadata

        path = self.weights()
        about = weights_metadata(path)
        try:
            return about["unweave.architecture"], json.loads(about["unweave.config"])
        except (LookupError, ValueError) as error:
            raise WeightsError(f"{path}: does not say what network it is of") from error

    def save_network(
        self,
        path: Path,
        network: "nn.Module",
        config: Config,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write weights, which appear complete or not at all.

        Args:
            path: Of the file, such as `best_weights`; its folder is made.
            network: As `build_network` made it.
            config: That it was made of.
            metadata: More text to keep, such as the loss reached.

        Raises:
            WeightsError: They cannot be written, or are not finite.
            ParameterError: The network is not that of the configuration.
        """
        from unweave.models.weights import save_weights
        from unweave.training.network import architecture_of

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise WeightsError(f"{path.parent}: cannot be made: {reason}") from error
        architecture, arguments = architecture_of(config)
        save_weights(path, network, architecture=architecture, config=arguments, metadata=metadata)
