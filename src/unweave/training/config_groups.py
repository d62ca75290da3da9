"""The groups of settings: types, ranges, defaults and what each is for."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from unweave.training._schema import BaseModel, BeforeValidator, ConfigDict, Field

Activation = Literal["sigmoid", "softmax", "relu", "hardtanh", "tanh", "prelu", "selu", "elu"]
WAVE_LOSSES = ("l1", "l2", "l1_snr", "sdr", "si_sdr", "multi_resolution_stft")
SPECTRAL_LOSSES = ("spectral_l1", "spectral_l2")
Loss = Literal[
    "l1",
    "l2",
    "l1_snr",
    "sdr",
    "si_sdr",
    "multi_resolution_stft",
    "spectral_l1",
    "spectral_l2",
]
Criterion = Loss | Literal["component_loss", "kl_div_loss"]
LOSS_NAMES = {
    "component": "component_loss",
    "kl_div": "kl_div_loss",
    "l1_loss": "l1",
    "l2_loss": "l2",
    "mse": "l2",
    "l1_snr_loss": "l1_snr",
    "sdr_loss": "sdr",
    "si_sdr_loss": "si_sdr",
    "multi_resolution_stft_loss": "multi_resolution_stft",
}


def _not_bool(value: object) -> object:
    """Refuse true and false, which Python would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _renamed_loss(value: object) -> object:
    return LOSS_NAMES.get(value, value) if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_not_bool)]
Number = Annotated[float, BeforeValidator(_not_bool)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Gain = Annotated[Number, Field(gt=0, le=16)]
Target = Annotated[str, Field(pattern=r"^[^\s/\\.][^/\\\x00-\x1f]*$", max_length=64)]


def setting(default: Any, description: str, **limits: Any) -> Any:
    """Describe a setting.

    Args:
        default: Its value where none is given.
        description: What it is for, as `--help` shows it.
        **limits: What pydantic checks: gt, ge, lt, le, min_length, max_length.

    Returns:
        The field.

    Example:
        >>> setting(10, "epochs of one call", ge=1).description
        'epochs of one call'
    """
    return Field(default, description=description, **limits)


class Group(BaseModel):
    """A group of settings, none of which can be changed in place.

    Attributes:
        aliases: Other names of settings, those of auralflow's later releases among them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        ser_json_inf_nan="constants",
    )
    aliases: ClassVar[Mapping[str, str]] = {}


class ModelParams(Group):
    """The network. Which of the settings count depends on `model_type`."""

    aliases: ClassVar[Mapping[str, str]] = {
        "mask_act_fn": "mask_activation",
        "num_hidden_channels": "hidden_channels",
    }

    model_type: str = setting("SpectrogramNetSimple", "kind of network")
    model_name: str = setting("model", "name in reports and of files", min_length=1, max_length=128)
    save_dir: str | None = setting(None, "where the model folder was made")
    normalize_input: bool = setting(True, "learn an offset and scale of each frequency that enters")
    normalize_output: bool = setting(True, "learn those of each frequency of the mask")
    mask_activation: Activation = setting("sigmoid", "what makes the mask")
    hidden_channels: Whole = setting(16, "width of the first level", ge=1, le=256)
    dropout_p: Number = setting(0.4, "share of channels dropped while training", ge=0, le=0.9)
    leak_factor: Number = setting(0.0, "slope of leaky ReLU below 0; 0: SELU", ge=0, le=1)
    recurrent_depth: Whole = setting(3, "number of stacked LSTMs", ge=1, le=16)
    hidden_size: Whole = setting(1024, "recurrent features, even", ge=2, le=8192, multiple_of=2)
    input_axis: Literal[0, 1] = setting(0, "features of LSTMs: 0 frequency, 1 time")
    bandwidth: Number = setting(16000.0, "how far OpenUnmix looks, Hz", gt=0, le=384000)
    num_levels: Whole = setting(5, "how often TFCTDFUNet halves the resolution", ge=1, le=8)
    widths: tuple[Annotated[Whole, Field(ge=1, le=512)], ...] = setting(
        (16, 32, 48), "channels of BandMask's three levels", min_length=3, max_length=3
    )
    recurrent: Whole = setting(128, "hidden size of BandMask's LSTM", ge=1, le=2048)
    members: Whole = setting(1, "BandMask networks whose masks are averaged", ge=1, le=16)


class DatasetParams(Group):
    """The data: where it lies, what is drawn from it, and how it is varied."""

    aliases: ClassVar[Mapping[str, str]] = {
        "max_tracks": "max_num_tracks",
        "max_samples": "max_num_samples",
        "n_fft": "num_fft",
        "win_length": "window_size",
    }

    targets: tuple[Target, ...] = setting(("vocals",), "sources to learn", min_length=1)
    targets_sum_to_mixture: bool | None = setting(
        None, "stems of a separation sum to the song; none: if 'other' or 'accompaniment' is one"
    )
    dataset_path: str | None = setting(None, "folder trained on last; kept by `train`")
    layout: Literal["auto", "tracks", "sources", "stem.mp4"] = setting(
        "auto", "how files lie: a folder a track, a folder a source, or .stem.mp4 as in MUSDB18"
    )
    missing: Literal["error", "silent"] = setting(
        "error", "what a track without one of the stems is: a mistake, or one where it is silent"
    )
    max_num_tracks: Whole | None = setting(None, "use no more tracks than these", ge=1)
    max_num_samples: Whole = setting(1000, "excerpts of an epoch", ge=1)
    num_channels: Whole = setting(1, "1 for mono, 2 for stereo", ge=1, le=64)
    sample_length: Number = setting(3.0, "length of an excerpt, s", ge=0.1, le=600)
    sample_rate: Whole = setting(44100, "rate that the model works at, Hz", ge=1000, le=768000)
    num_fft: Whole = setting(1024, "samples of a frame", ge=16, le=65536)
    window_size: Whole = setting(1024, "samples of the window", ge=16, le=65536)
    hop_length: Whole = setting(512, "samples between frames", ge=1, le=65536)
    learn_filterbanks: Literal[False] = setting(False, "not offered; kept for old files")
    validation_split: Probability = setting(
        0.2, "share of the tracks kept for validation where no folder is"
    )
    max_validation_samples: Whole = setting(200, "excerpts of a validation", ge=1)
    cache_dir: str | None = setting(None, "where decoded audio is kept; none: user's cache")
    silent_share: Probability = setting(0.1, "share of excerpts whose target may be silent")
    augment: bool = setting(True, "vary excerpts as the settings below say")
    random_mixing: Probability = setting(0.5, "how often stems of different songs are mixed")
    gain_range: tuple[Gain, Gain] = setting((0.25, 1.25), "random factor of each stem, from and to")
    channel_swap: Probability = setting(0.5, "how often left and right are swapped")
    polarity: Probability = setting(0.5, "how often a stem's sign is flipped")
    repitch: Probability = setting(0.0, "how often a stem is played faster or slower")
    repitch_semitones: Number = setting(2.0, "by how much at most", gt=0, le=12)
    equalizer: Probability = setting(0.0, "how often a stem is equalised")
    limiter: Probability = setting(0.0, "how often the mixture is limited")


class TrainingParams(Group):
    """How the network is trained, and on what."""

    aliases: ClassVar[Mapping[str, str]] = {
        "learning_rate": "lr",
        "loss": "criterion",
        "alpha": "alpha_constant",
        "beta": "beta_constant",
        "use_amp": "use_mixed_precision",
        "mixed_precision": "use_mixed_precision",
        "init_scale": "mixed_precision_scale",
        "max_plateaus": "max_lr_steps",
        "gradient_clip_val": "max_grad_norm",
        "scheduler": "schedule",
        "device": "accelerator",
    }

    training_mode: bool = setting(True, "SeparationModel starts in training mode")
    max_epochs: Whole = setting(10, "epochs of one call of `train`", ge=1)
    last_epoch: Whole = setting(-1, "step that SeparationModel goes on from; -1: none", ge=-1)
    global_step: Whole = setting(-1, "count of steps in auralflow's files; not used", ge=-1)
    best_epoch: Whole = setting(-1, "step that SeparationModel evaluates; -1: the best", ge=-1)
    batch_size: Whole = setting(16, "excerpts of a step and process", ge=1)
    optimizer: Literal["adamw", "adam", "nadam", "radam", "rmsprop", "sgd"] = setting(
        "adamw", "who updates the weights"
    )
    lr: Number = setting(1e-3, "learning rate, at its highest", gt=0, le=10)
    lr_lstm: Number | None = setting(None, "that of recurrent layers; none: lr", gt=0, le=10)
    weight_decay: Number = setting(1e-4, "pull of the weights to 0", ge=0, le=1)
    momentum: Number = setting(0.9, "of sgd and rmsprop", ge=0, lt=1)
    schedule: Literal["plateau", "cosine", "constant"] = setting(
        "plateau", "how lr falls: when validation stalls, along a cosine over max_epochs, never"
    )
    warmup_steps: Whole = setting(0, "steps over which lr rises from 0", ge=0)
    lr_factor: Number = setting(0.5, "plateau: what lr is multiplied by", gt=0, lt=1)
    lr_patience: Whole = setting(3, "plateau: epochs without improvement until then", ge=0)
    max_lr_steps: Whole = setting(5, "plateau: how often at most", ge=0)
    min_lr_share: Number = setting(0.01, "cosine: share of lr that is left at the end", ge=0, le=1)
    stop_patience: Whole = setting(10, "epochs without improvement until training stops", ge=1)
    min_delta: Number = setting(0.0, "what counts as an improvement of the loss", ge=0)
    criterion: Annotated[Criterion, BeforeValidator(_renamed_loss)] = setting(
        "l1", "loss; kl_div_loss adds the divergence of a VAE to construction_loss"
    )
    construction_loss: Annotated[Loss, BeforeValidator(_renamed_loss)] = setting(
        "l1", "loss that kl_div_loss adds to"
    )
    alpha_constant: Probability = setting(0.5, "component_loss: weight of the residual's removal")
    beta_constant: Probability = setting(0.0, "component_loss: weight of the residual's likeness")
    kl_weight: Number = setting(1e-3, "kl_div_loss: weight of the divergence", ge=0)
    stft_weight: Number = setting(0.0, "weight of a multi-resolution STFT loss beside", ge=0)
    ema_decay: Number = setting(
        0.999, "running mean of the weights, kept as best; 0: off", ge=0, lt=1
    )
    max_grad_norm: Number = setting(5.0, "gradients are scaled down to this norm; 0: off", ge=0)
    accumulate_grad_batches: Whole = setting(1, "batches of an update", ge=1)
    use_mixed_precision: bool = setting(True, "compute in half precision where it is faster")
    precision: Literal["auto", "32", "bf16", "fp16"] = setting(
        "auto", "of mixed precision; auto: bf16 on a GPU, 32 on a CPU"
    )
    mixed_precision_scale: Number = setting(65536.0, "fp16: initial scale of the loss", gt=0)
    num_workers: Whole = setting(4, "processes that load data", ge=0, le=256)
    pin_memory: bool = setting(True, "load into page-locked memory if there is a GPU")
    persistent_workers: bool = setting(True, "keep them from epoch to epoch")
    pre_fetch: Whole = setting(4, "batches that each has ready", ge=1, le=64)
    silent_checkpoint: bool = setting(True, "do not tell where states are kept")
    seed: Whole = setting(0, "of weights, excerpts and augmentation", ge=0, le=2**32 - 1)
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = setting("auto", "what to train on")
    devices: Literal["auto"] | Whole = setting("auto", "processes (GPUs) of a machine")
    num_nodes: Whole = setting(1, "machines", ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = setting(
        "auto", "how processes work together"
    )


class VisualizerParams(Group):
    """What is shown and kept of the training's progress."""

    aliases: ClassVar[Mapping[str, str]] = {
        "view_spec": "view_spectrogram",
        "view_wave": "view_waveform",
        "view_grad": "view_gradient",
        "play_estimate": "play_audio",
        "image_freq": "save_frequency",
    }

    tensorboard: bool = setting(True, "write logs into runs/")
    view_spectrogram: bool = setting(True, "draw spectrograms of separated excerpts")
    view_waveform: bool = setting(True, "draw their waveforms")
    view_gradient: bool = setting(False, "log histograms of gradients")
    view_norm: bool = setting(False, "log the mean norm of gradients before they are clipped")
    view_weights: bool = setting(False, "log histograms of weights")
    play_audio: bool = setting(True, "log separated excerpts as sound")
    play_residual: bool = setting(False, "log and keep also what estimates leave of the mixture")
    save_image: bool = setting(True, "keep pictures in images/")
    save_audio: bool = setting(True, "keep sound in audio/")
    save_frequency: Whole = setting(5, "epochs from one picture and sound to the next", ge=1)
    num_images: Whole = setting(1, "excerpts that are shown", ge=1, le=64)


GROUPS: dict[str, type[Group]] = {
    "model_params": ModelParams,
    "dataset_params": DatasetParams,
    "training_params": TrainingParams,
    "visualizer_params": VisualizerParams,
}
