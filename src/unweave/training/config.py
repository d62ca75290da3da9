"""Configurations: every setting of a model, its data, its training and its pictures, as JSON.

The four groups and their names are those of auralflow's `config.json`; files of its June 2022
versions are read. Later names (`mask_act_fn`, `max_grad_norm`, ...) are known too, and dashes count
as underscores.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, get_args, get_origin

from unweave.errors import ConfigError
from unweave.training._schema import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from unweave.training.config_errors import explained, suggestion
from unweave.training.config_groups import (
    GROUPS,
    DatasetParams,
    ModelParams,
    TrainingParams,
    VisualizerParams,
)
from unweave.training.config_models import MODEL_TYPES, ModelType, model_type

VERSION: Literal[1] = 1


class Config(BaseModel):
    """All settings of a model: what it is, what it learns from, how, and what is shown of it.

    Values are checked on making; none can be changed in place.

    Args:
        version: Of the format.
        model_params: The network.
        dataset_params: The data.
        training_params: The training.
        visualizer_params: What is shown and kept of its progress.

    Example:
        >>> config = Config.template("SpectrogramNetSimple", dropout_p=0.2)
        >>> config.changed(mask_activation="relu").model_params.mask_activation
        'relu'
        >>> config.changed(dropout=0.3)
        Traceback (most recent call last):
        unweave.errors.ConfigError: unknown setting 'dropout': did you mean 'dropout_p'? ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    version: Literal[1] = VERSION
    model_params: ModelParams = Field(default_factory=ModelParams)
    dataset_params: DatasetParams = Field(default_factory=DatasetParams)
    training_params: TrainingParams = Field(default_factory=TrainingParams)
    visualizer_params: VisualizerParams = Field(default_factory=VisualizerParams)

    @classmethod
    def template(cls, model: str, name: str = "model", **settings: Any) -> Self:
        """Give the configuration that a model starts from.

        Args:
            model: Kind of the model, a key of `MODEL_TYPES`.
            name: Of the model.
            **settings: Those that differ from their defaults, of any group.

        Returns:
            The configuration.

        Raises:
            ConfigError: The kind or a setting is unknown, or a value out of range.

        Example:
            >>> Config.template("OpenUnmix", targets="drums,bass").dataset_params.num_fft
            4096
        """
        about = {"model_type": model_type(model).name, "model_name": name}
        return cls.of({"version": VERSION}, **about, **settings)

    @classmethod
    def of(cls, given: "Config | Mapping[str, Any]", /, **settings: Any) -> Self:
        """Check the contents of a configuration file.

        Args:
            given: The groups, or a configuration.
            **settings: Those that differ from what is given, of any group.

        Returns:
            The configuration.

        Raises:
            ConfigError: A setting is unknown, or a value out of range.

        Example:
            >>> Config.of({"training_params": {"lr": -1}})
            Traceback (most recent call last):
            unweave.errors.ConfigError: training_params.lr=-1 must be greater than 0
        """
        if isinstance(given, Config):
            given = given.as_dict()
        if not isinstance(given, Mapping):
            raise ConfigError(f"a {type(given).__name__} is no configuration: groups are expected")
        contents = {key: _copied(value) for key, value in given.items()}
        for key, value in settings.items():
            group, name = find_setting(key)
            contents[group] = _without(contents.get(group, {}), group, name) | {
                name: _from_text(group, name, value)
            }
            if name == "num_fft" and "window_size" not in settings:
                contents[group]["window_size"] = contents[group][name]
        try:
            return cls.model_validate(contents)
        except ValidationError as error:
            raise ConfigError(explained(error)) from error

    def changed(self, **settings: Any) -> Self:
        """Give a configuration that differs in some settings.

        Args:
            **settings: Of any group. Text is read as the setting's type, so that "0.4" is a number
                and "vocals,drums" are two targets.

        Returns:
            The other configuration.

        Raises:
            ConfigError: A setting is unknown, or a value out of range.

        Example:
            >>> Config().changed(targets="vocals,drums", lr="0.01").dataset_params.targets
            ('vocals', 'drums')
        """
        return self.of(self, **settings)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as a file holds them: those that the model does not know are left out.

        Returns:
            Groups of values that JSON knows.

        Example:
            >>> "input_axis" in Config.template("SpectrogramNetSimple").as_dict()["model_params"]
            False
        """
        made = self.model_dump(mode="json")
        for name in model_words() - set(self.kind.words):
            del made["model_params"][name]
        return made

    @property
    def kind(self) -> ModelType:
        """What is known of this kind of model."""
        return MODEL_TYPES[self.model_params.model_type]

    @property
    def sums_to_mixture(self) -> bool:
        """Whether the stems of a separation are to sum to the song."""
        data = self.dataset_params
        if self.kind.name == "BandMask":
            return True
        if data.targets_sum_to_mixture is None:
            return bool({"other", "accompaniment"} & set(data.targets))
        return data.targets_sum_to_mixture

    @model_validator(mode="before")
    @classmethod
    def _prepared(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        made = dict(given)
        for name, group in GROUPS.items():
            if isinstance(made.get(name), Mapping):
                made[name] = _renamed(made[name], name, group.aliases)
        model = made.setdefault("model_params", {})
        if not isinstance(model, dict) or not isinstance(model.get("model_type", ""), str):
            return made
        try:
            kind = model_type(model.get("model_type", "SpectrogramNetSimple"))
        except ConfigError as error:
            raise ValueError(f"model_params.model_type: {error}") from error
        model["model_type"] = kind.name
        if foreign := sorted(model_words() & set(model) - set(kind.words)):
            raise ValueError(
                f"model_params.{foreign[0]}: {kind.name} has no such setting, it knows"
                f" {', '.join(kind.words)}"
            )
        data = made.get("dataset_params")
        if isinstance(data, dict) and "num_fft" in data:
            data.setdefault("window_size", data["num_fft"])
        for key, value in kind.defaults.items():
            group_name, name = find_setting(key)
            if isinstance(made.setdefault(group_name, {}), dict):
                made[group_name].setdefault(name, value)
        return made

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for problem in _misfits(self):
            raise ValueError(problem)
        return self


def _misfits(config: Config) -> Iterator[str]:
    """Name settings that do not fit each other."""
    data, kind = config.dataset_params, config.kind
    if len(set(data.targets)) < len(data.targets):
        yield f"dataset_params.targets={list(data.targets)} names a source twice"
    for taken in {"mixture", "original", "residual"} & set(data.targets):
        yield f"dataset_params.targets holds {taken!r}, which is the name of another file"
    if not data.gain_range[0] <= data.gain_range[1]:
        yield f"dataset_params.gain_range={list(data.gain_range)} must rise"
    if data.window_size != data.num_fft:
        yield (
            f"dataset_params.window_size={data.window_size} must be num_fft={data.num_fft}: frames"
            " are as long as their window"
        )
    if data.hop_length > data.window_size // 2:
        yield (
            f"dataset_params.hop_length={data.hop_length} must be at most half of"
            f" window_size={data.window_size}"
        )
    for name, value in kind.fixed.items():
        if getattr(data, name) != value:
            yield f"dataset_params.{name} must be {value}: {kind.name} is built for it"
    if kind.name == "BandMask" and len(data.targets) < 2:
        yield (
            f"dataset_params.targets={list(data.targets)}: BandMask shares the mixture among its"
            " targets, so that there must be two or more, one of them for the rest"
        )
    if round(data.sample_length * data.sample_rate) < data.num_fft:
        yield f"dataset_params.sample_length={data.sample_length} is shorter than num_fft"
    yield from _loss_misfits(config.training_params, kind)


def _loss_misfits(training: TrainingParams, kind: ModelType) -> Iterator[str]:
    if training.criterion == "kl_div_loss" and not kind.variational:
        yield f"training_params.criterion='kl_div_loss' is for VAEs, and {kind.name} is none"
    if training.criterion == "component_loss" and kind.architecture not in ("mask", "openunmix"):
        yield (
            "training_params.criterion='component_loss' is for real masks, which"
            f" {kind.name} does not draw"
        )
    if training.criterion == "component_loss" and (
        training.alpha_constant + training.beta_constant >= 1
    ):
        yield (
            "training_params.alpha_constant + beta_constant must be below 1, or the target has no"
            " weight and the best mask is silence"
        )


def model_words() -> set[str]:
    """Give the settings that only some kinds of models know."""
    return {word for kind in MODEL_TYPES.values() for word in kind.words}


def find_setting(key: str) -> tuple[str, str]:
    """Find a setting among the groups.

    Args:
        key: Its name or another name of it; dashes count as underscores.

    Returns:
        The group's name and the setting's.

    Raises:
        ConfigError: There is none of that name.

    Example:
        >>> find_setting("mask-act-fn")
        ('model_params', 'mask_activation')
    """
    name = key.replace("-", "_")
    for group, kind in GROUPS.items():
        found = kind.aliases.get(name, name)
        if found in kind.model_fields:
            return group, found
    known = [each for kind in GROUPS.values() for each in (*kind.model_fields, *kind.aliases)]
    raise ConfigError(
        f"unknown setting {key!r}: {suggestion(name, known)}`unweave config --help` lists them"
    )


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _without(group: Any, group_name: str, name: str) -> dict[str, Any]:
    """Leave out a setting under all its names."""
    if not isinstance(group, Mapping):
        raise ConfigError(f"{group_name}: must be a group of settings, not {group!r}")
    aliases = GROUPS[group_name].aliases
    return {k: v for k, v in group.items() if aliases.get(k.replace("-", "_"), k) != name}


def _renamed(given: Mapping[str, Any], group: str, aliases: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in given.items():
        plain = str(key).replace("-", "_")
        name = aliases.get(plain, plain)
        if name in made:
            raise ValueError(f"{group}.{name} is given twice, once as {key!r}")
        made[name] = value
    return made


def _from_text(group: str, name: str, value: Any) -> Any:
    """Split lists and know the word for nothing."""
    if isinstance(value, str):
        kind = GROUPS[group].model_fields[name].annotation
        if type(None) in get_args(kind) and value.lower() in ("none", "null"):
            return None
        if get_origin(kind) is tuple:
            return [part.strip() for part in value.split(",") if part.strip()]
    return value
