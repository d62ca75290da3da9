"""The network that a configuration describes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from unweave.models.bandmask import BandMaskNet
from unweave.models.registry import ARCHITECTURES
from unweave.training.config import Config

_SEGMENT = 10.0  # seconds that a separation gives a network at once
_WORDS = {"mask_activation": "mask_act_fn"}
_SETTINGS = {
    "sources": "targets",
    "channels": "num_channels",
    "n_fft": "num_fft",
    "win_length": "window_size",
    "stft_hop": "hop_length",
    "mask_act_fn": "mask_activation",
    "network": "model_type",
    "dropout": "dropout_p",
}
_FREE = {"dropout", "dropout_p", "segment"}  # weights are of use whatever these are


def architecture_of(config: Config) -> tuple[str, dict[str, Any]]:
    """Say how the registry builds the network of a configuration.

    Args:
        config: The settings.

    Returns:
        A key of `unweave.models.registry.ARCHITECTURES` and the arguments, as weights files keep
        them.

    Example:
        >>> name, arguments = architecture_of(Config.template("OpenUnmix", hidden_size=8))
        >>> name, arguments["hidden_size"], arguments["sources"]
        ('openunmix', 8, ['vocals'])
    """
    kind, data = config.kind, config.dataset_params
    sources = list(data.targets)
    words = config.model_dump(mode="json", include={"model_params"})["model_params"]
    known = {_WORDS.get(word, word): words[word] for word in kind.words}
    if kind.architecture == "bandmask":
        return kind.architecture, {"sources": sources, "dropout": known.pop("dropout_p"), **known}
    made = {"sources": sources, "sample_rate": data.sample_rate, "channels": data.num_channels}
    hop = "stft_hop" if kind.architecture == "wave" else "hop_length"
    made |= {"n_fft": data.num_fft, hop: data.hop_length}
    if kind.network is not None:
        # Where frames are features of an LSTM, excerpts and segments must have as many.
        tied = known.get("input_axis") == 1
        made |= {"network": kind.network}
        made |= {"segment": data.sample_length if tied else max(data.sample_length, _SEGMENT)}
    return kind.architecture, made | known


def differences(config: Config, name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Say where a configuration describes another network than one that was trained.

    Args:
        config: The settings.
        name: Of the trained network's architecture.
        arguments: That it was built with.

    Returns:
        Each setting that differs and makes the weights useless, with both values.

    Example:
        >>> config = Config.template("OpenUnmix")
        >>> differences(config.changed(targets="drums"), *architecture_of(config))
        ["targets was ['vocals'] and is ['drums']"]
    """
    wanted, built = architecture_of(config)
    if wanted != name:
        return [f"the network was a {name} and is a {wanted}"]
    # Where frames are features of an LSTM their number counts
    free = _FREE - {"segment"} if built.get("input_axis") == 1 else _FREE
    return [
        f"{_SETTINGS.get(key, key)} was {arguments[key]} and is {built[key]}"
        for key in built
        if key not in free and key in arguments and arguments[key] != built[key]
    ]


def build_network(config: Config) -> nn.Module:
    """Build the network of a configuration, its weights drawn by the configuration's seed.

    Args:
        config: The settings.

    Returns:
        A network that follows `SeparationNetwork`: (batch, channels, time) in, (batch, sources,
        channels, time) out.

    Raises:
        ParameterError: The network refuses a setting.

    Example:
        >>> config = Config.template("BandMask", widths=(4, 4, 4), recurrent=8)
        >>> build_network(config)(torch.zeros(1, 2, 9000)).shape
        torch.Size([1, 4, 2, 9000])
    """
    name, arguments = architecture_of(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training_params.seed)
        network = ARCHITECTURES[name].load()(**arguments)
    if isinstance(network, BandMaskNet):
        _standardise(network)
    else:
        vars(network)["sums_to_mixture"] = config.sums_to_mixture
    return network


def _standardise(network: BandMaskNet) -> None:
    """Set what log energies are brought to mean 0 and deviation 1 with, to that of usual music.

    The shipped model's own figures, averaged over bands: nothing here depends on the data.
    """
    for member in network.members:
        for name, value in (("mean", -4.8), ("scale", 0.62)):
            torch.nn.init.constant_(getattr(member, name), value)
