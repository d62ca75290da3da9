"""The words with which the U-Nets are described, checked in one place."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict, TypeVar

from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError

MASK_ACTIVATIONS = ("sigmoid", "softmax", "relu", "hardtanh", "tanh", "prelu", "selu", "elu")

Made = TypeVar("Made", bound=type)


class NetWords(TypedDict, total=False):
    """Words of every network."""

    hidden_channels: int
    leak_factor: float
    dropout_p: float
    normalize_input: bool
    normalize_output: bool


class RecurrentWords(NetWords, total=False):
    """Words of networks with a recurrent middle."""

    recurrent_depth: int
    hidden_size: int


class MaskWords(NetWords, total=False):
    """Words of networks that draw masks."""

    mask_act_fn: str


class HybridWords(RecurrentWords, total=False):
    """Words of networks with a recurrent middle that draw masks."""

    mask_act_fn: str


class MaskRecurrentWords(HybridWords, total=False):
    """Words of networks that draw masks and choose the axis of their recurrent middle."""

    input_axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSettings:
    """What describes a U-Net; each kind of network knows some of the words.

    Attributes:
        hidden_channels: Channels of the first level; each level below has twice as many.
        mask_act_fn: What makes the mask; see `MaskActivation`.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoder, and
            a value between recurrent layers.
        normalize_input: Whether to normalise what enters.
        normalize_output: Whether to learn an offset and a scale of what leaves.
        recurrent_depth: Number of stacked recurrent layers.
        hidden_size: Recurrent features, half of them in each direction.
        input_axis: Which axis is the features: 0 for frequency, 1 for time.

    Raises:
        ParameterError: A value is out of range.
    """

    hidden_channels: int = 16
    mask_act_fn: str = "sigmoid"
    leak_factor: float = 0.0
    dropout_p: float = 0.5
    normalize_input: bool = False
    normalize_output: bool = False
    recurrent_depth: int = 3
    hidden_size: int = 1024
    input_axis: int = 0

    def __post_init__(self) -> None:
        positive_int("hidden_channels", self.hidden_channels)
        positive_int("recurrent_depth", self.recurrent_depth)
        non_negative("leak_factor", self.leak_factor)
        if positive_int("hidden_size", self.hidden_size) % 2:
            raise ParameterError(
                f"hidden_size={self.hidden_size} must be even: half of it runs each way"
            )
        if non_negative("dropout_p", self.dropout_p) >= 1:
            raise ParameterError(f"dropout_p={self.dropout_p} must be below 1")
        if self.mask_act_fn not in MASK_ACTIVATIONS:
            known = ", ".join(MASK_ACTIVATIONS)
            raise ParameterError(f"mask_act_fn={self.mask_act_fn!r} must be one of {known}")
        if self.input_axis not in (0, 1):
            raise ParameterError(
                f"input_axis={self.input_axis!r} must be 0 (frequency is the features, the LSTM"
                " runs along time) or 1 (time is the features, it runs along frequency)"
            )

    @classmethod
    def of(cls, words: type, given: Mapping[str, Any]) -> "NetSettings":
        """Give the settings of a network that knows only some of the words.

        Args:
            words: A TypedDict of the words that the network knows.
            given: What its caller said.

        Returns:
            The settings.

        Raises:
            ParameterError: A word is unknown or its value out of range.
        """
        known = word_names(words)
        for name in given:
            if name not in known:
                raise ParameterError(f"unknown argument {name!r}: known are {', '.join(known)}")
        return cls(**given)


def word_names(words: type) -> list[str]:
    """Give the words of a TypedDict in the order of `NetSettings`."""
    return [field.name for field in fields(NetSettings) if field.name in words.__annotations__]


def only(words: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give those of the words given that a TypedDict has."""
    return {name: value for name, value in given.items() if name in words.__annotations__}


def spelled_out(words: type) -> Callable[[Made], Made]:
    """Show the words behind `**options` in the signature of a class.

    Weights files and settings are held against signatures, and readers look there first.

    Args:
        words: A TypedDict of the words that the constructor takes.

    Returns:
        A decorator of classes.
    """
    defaults = {field.name: field.default for field in fields(NetSettings)}

    def decorate(cls: Made) -> Made:
        shown = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shown = [each for each in shown if each.kind is not inspect.Parameter.VAR_KEYWORD]
        shown += [
            inspect.Parameter(
                name, keyword, default=defaults[name], annotation=type(defaults[name])
            )
            for name in word_names(words)
        ]
        cls.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        return cls

    return decorate
