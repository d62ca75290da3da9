"""The states of a training loop of one's own, numbered by step, in a model's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from unweave.errors import ConfigError, WeightsError
from unweave.models.weights import load_weights
from unweave.training.checkpoints import load_state, save_state
from unweave.training.config import Config
from unweave.training.model_folder import ModelFolder
from unweave.training.optimisers import Schedule


class Stateful(Protocol):
    """What keeps a state."""

    def state_dict(self) -> dict[str, Any]:
        """Give what must be kept."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Go on from what was kept."""
        ...


@dataclass(frozen=True, slots=True)
class StateFiles:
    """Name, write and read the states of a model.

    Attributes:
        path: Of the model's folder, if it has one.
        name: Of the model, with which the names of files begin.
    """

    path: Path | None
    name: str

    @property
    def folder(self) -> ModelFolder:
        """The model's folder.

        Raises:
            ConfigError: The configuration names none.
        """
        if self.path is None:
            raise ConfigError(
                "model_params.save_dir is not set, so there is no place for states: load the"
                " configuration from its folder (load_config), or set it"
            )
        return ModelFolder(self.path)

    def has_weights(self) -> bool:
        """Tell whether the folder holds any weights."""
        return self.path is not None and any(self.folder.checkpoints.glob("*.safetensors"))

    def has(self, kind: str, step: int) -> bool:
        """Tell whether there is a state.

        Args:
            kind: Such as "optimizer".
            step: Its number.
        """
        return self._state(kind, step).exists()

    def save_weights(self, step: int, network: nn.Module, config: Config) -> None:
        """Write weights.

        Args:
            step: Number of the state.
            network: Whose weights they are.
            config: That it was made of.

        Raises:
            WeightsError: They cannot be written.
        """
        self.folder.save_network(self._weights(step), network, config, {"step": str(step)})

    def load_weights(self, step: int | None, network: nn.Module) -> None:
        """Read weights.

        Args:
            step: Number of the state; None takes those that `unweave separate` would use.
            network: That gets them.

        Raises:
            WeightsError: They are missing, damaged or those of another network.
        """
        path = self.folder.weights() if step is None else self._weights(step)
        found = load_weights(path)
        sources = [list(getattr(each, "sources", ())) for each in (found, network)]
        if type(found) is not type(network) or sources[0] != sources[1]:
            raise WeightsError(
                f"{path}: holds a {type(found).__name__} for {', '.join(sources[0])}, the"
                f" configuration asks for a {type(network).__name__} for {', '.join(sources[1])}"
            )
        try:
            network.load_state_dict(found.state_dict())
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: was trained with other settings of model_params or dataset_params than"
                " the configuration has"
            ) from error

    def save(self, kind: str, step: int, owner: Stateful) -> None:
        """Write a state.

        Args:
            kind: Such as "optimizer".
            step: Number of the state.
            owner: Whose state it is.

        Raises:
            UnweaveError: It cannot be written.
        """
        path = self._state(kind, step)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise WeightsError(f"{path.parent}: cannot be made: {reason}") from error
        save_state(path, {"owner": type(owner).__name__, "state": owner.state_dict()})

    def load(self, kind: str, step: int, owner: Stateful) -> None:
        """Read a state.

        Args:
            kind: Such as "optimizer".
            step: Number of the state.
            owner: That goes on from it.

        Raises:
            WeightsError: It is missing, damaged, foreign, or that of another owner.
        """
        path = self._state(kind, step)
        kept = load_state(path)
        if kept.get("owner") != type(owner).__name__ or not isinstance(kept.get("state"), Mapping):
            raise WeightsError(
                f"{path}: holds the state of a {kept.get('owner')}, the configuration asks for a"
                f" {type(owner).__name__}"
            )
        try:
            owner.load_state_dict(kept["state"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise WeightsError(f"{path}: does not fit the configuration: {error}") from error

    def _weights(self, step: int) -> Path:
        return self.folder.checkpoints / f"{self.name}_{step}.safetensors"

    def _state(self, kind: str, step: int) -> Path:
        return self.folder.checkpoints / f"{self.name}_{kind}_{step}.pt"


class WithStates:
    """Let a model write and read the states of all that its training needs.

    Attributes:
        config: The settings.
        model: The network.
        optimizer: Updates its weights.
        scheduler: Sets the learning rate.
        grad_scaler: Of the loss, in use with fp16 only.
    """

    config: Config
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Schedule
    grad_scaler: torch.amp.GradScaler
    _files: StateFiles

    def save_model(self, global_step: int) -> None:
        """Write the weights, as safetensors that `unweave separate` reads.

        Args:
            global_step: Number of the state.
        """
        self._files.save_weights(global_step, self.model, self.config)

    def load_model(self, global_step: int | None = None) -> None:
        """Read weights.

        Args:
            global_step: Number of the state; None takes those that `unweave separate` would use.
        """
        self._files.load_weights(global_step, self.model)

    def save_optim(self, global_step: int) -> None:
        """Write the optimiser's state.

        Args:
            global_step: Number of the state.
        """
        self._files.save("optimizer", global_step, self.optimizer)

    def load_optim(self, global_step: int) -> None:
        """Read the optimiser's state.

        Args:
            global_step: Number of the state.
        """
        self._files.load("optimizer", global_step, self.optimizer)

    def save_scheduler(self, global_step: int) -> None:
        """Write the schedule's state.

        Args:
            global_step: Number of the state.
        """
        self._files.save("scheduler", global_step, self.scheduler)

    def load_scheduler(self, global_step: int) -> None:
        """Read the schedule's state.

        Args:
            global_step: Number of the state.
        """
        self._files.load("scheduler", global_step, self.scheduler)

    def save_grad_scaler(self, global_step: int) -> None:
        """Write the gradient scaler's state, if one is in use.

        Args:
            global_step: Number of the state.
        """
        if self.grad_scaler.is_enabled():
            self._files.save("autocast", global_step, self.grad_scaler)

    def load_grad_scaler(self, global_step: int) -> None:
        """Read the gradient scaler's state, if one is in use and there is one.

        Args:
            global_step: Number of the state.
        """
        if self.grad_scaler.is_enabled() and self._files.has("autocast", global_step):
            self._files.load("autocast", global_step, self.grad_scaler)

    def save(
        self,
        global_step: int,
        model: bool = True,
        optim: bool = True,
        scheduler: bool = True,
        grad_scaler: bool = True,
    ) -> None:
        """Write everything that training needs to go on, the weights last.

        Args:
            global_step: Number of the state.
            model: Whether to write the weights.
            optim: Whether to write the optimiser's state.
            scheduler: Whether to write the schedule's state.
            grad_scaler: Whether to write the gradient scaler's state.
        """
        # A process killed meanwhile leaves no weights without their states
        wanted = (grad_scaler, scheduler, optim, model)
        doors = (self.save_grad_scaler, self.save_scheduler, self.save_optim, self.save_model)
        for door in (door for want, door in zip(wanted, doors, strict=True) if want):
            door(global_step)

    def load(self, global_step: int) -> None:
        """Read everything that `save` writes.

        Args:
            global_step: Number of the state.
        """
        self.load_model(global_step)
        self.load_optim(global_step)
        self.load_scheduler(global_step)
        self.load_grad_scaler(global_step)
