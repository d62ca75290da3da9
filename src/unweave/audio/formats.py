"""The formats that unweave writes, with their limits, and what can be read here and now."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from unweave._core.checks import positive_int
from unweave.errors import ParameterError

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (*_MP3_RATES, 64000, 88200, 96000)


@dataclass(frozen=True)
class Format:
    """One file format that can be written.

    Attributes:
        name: The name that users give, which is also the file's usual suffix.
        major: libsndfile's or FFmpeg's name of the container.
        subtypes: Sample codings, the default first.
        channels: The most channels it holds.
        rates: All legal sample rates in Hz, or only the lowest and the highest if `any_between`.
        any_between: Every rate between the two ends is legal.
        suffixes: File name endings that mean this format.
        compression: libsndfile's compression level, 0 for the best quality.
        bitrate_mode: libsndfile's bit rate mode.
        av: PyAV writes it.
        empty: It can hold a signal of zero samples.
    """

    name: str
    major: str
    subtypes: tuple[str, ...]
    channels: int
    rates: tuple[int, ...]
    any_between: bool
    suffixes: tuple[str, ...]
    compression: float | None = None
    bitrate_mode: str | None = None
    av: bool = False
    empty: bool = False


_PCM = ("FLOAT", "PCM_16", "PCM_24", "PCM_32")
_ANY_RATE = (1, 2**31 - 1)
_FORMATS = (
    Format(
        name="wav",
        major="RF64",  # a plain WAV once it is closed below 4 GiB
        subtypes=(*_PCM, "PCM_U8", "DOUBLE"),
        channels=1024,
        rates=_ANY_RATE,
        any_between=True,
        suffixes=(".wav", ".wave", ".rf64"),
        empty=True,
    ),
    Format(
        name="flac",
        major="FLAC",
        subtypes=("PCM_24", "PCM_16", "PCM_S8"),
        channels=8,
        rates=(1, 655350),
        any_between=True,
        suffixes=(".flac",),
    ),
    Format(
        name="ogg",
        major="OGG",
        subtypes=("VORBIS",),
        channels=255,
        rates=(8000, 192000),  # the encoder crashes at much lower rates
        any_between=True,
        suffixes=(".ogg", ".oga"),
        compression=0.2,  # quality 8 of 10
        empty=True,
    ),
    Format(
        name="opus",
        major="OGG",
        subtypes=("OPUS",),
        channels=255,
        rates=(8000, 12000, 16000, 24000, 48000),
        any_between=False,
        suffixes=(".opus",),
        compression=0.6,  # 106 kbit/s for each channel
    ),
    Format(
        name="mp3",
        major="MP3",
        subtypes=("MPEG_LAYER_III",),
        channels=2,
        rates=_MP3_RATES,
        any_between=False,
        suffixes=(".mp3",),
        compression=0.0,  # V0
        bitrate_mode="VARIABLE",
    ),
    Format(
        name="aiff",
        major="AIFF",
        subtypes=(*_PCM, "PCM_S8", "DOUBLE"),
        channels=1024,
        rates=_ANY_RATE,
        any_between=True,
        suffixes=(".aiff", ".aif", ".aifc"),
        empty=True,
    ),
    Format(
        name="caf",
        major="CAF",
        subtypes=(*_PCM, "PCM_S8", "DOUBLE"),
        channels=1024,
        rates=_ANY_RATE,
        any_between=True,
        suffixes=(".caf",),
        empty=True,
    ),
    Format(
        name="m4a",
        major="ipod",
        subtypes=("AAC",),
        channels=8,
        rates=_AAC_RATES,
        any_between=False,
        suffixes=(".m4a",),
        av=True,
    ),
)
FORMATS = {format.name: format for format in _FORMATS}
_BY_SUFFIX = {suffix: format for format in _FORMATS for suffix in format.suffixes}
_BY_AV_READ = ("m4a", "mp4", "webm", "mka", "wma", "aac", "ac3", "stem.mp4")
_BY_SOUNDFILE_READ = ("wav", "rf64", "flac", "ogg", "opus", "mp3", "aiff", "caf", "w64", "au")


def has_av() -> bool:
    """Tell whether PyAV, the optional back end for m4a and mp4, is installed."""
    return find_spec("av") is not None


def supported_formats() -> dict[str, dict[str, bool]]:
    """Tell which formats can be read and written with what is installed.

    Returns:
        For each format `{"read": bool, "write": bool}`; those that need `unweave[av]` are False
        where it is missing.

    Example:
        >>> supported_formats()["flac"]
        {'read': True, 'write': True}
    """
    av = has_av()
    table = {name: {"read": True, "write": name in FORMATS} for name in _BY_SOUNDFILE_READ}
    for name in _BY_AV_READ:
        table[name] = {"read": av, "write": av and name in ("m4a", "stem.mp4")}
    return table


def resolve_format(path: Path, format: str | None) -> Format:
    """Find the format that a name or a file's suffix means.

    Args:
        path: The file to be written; its suffix counts if `format` is None.
        format: 'wav', 'flac', 'ogg', 'opus', 'mp3', 'aiff', 'caf' or 'm4a', in any case.

    Raises:
        ParameterError: Neither names a format that can be written.

    Example:
        >>> resolve_format(Path("drums.FLAC"), None).name
        'flac'
    """
    known = ", ".join(FORMATS)
    if format is not None:
        name = format.lower().lstrip(".")
        found = FORMATS.get(name) or _BY_SUFFIX.get(f".{name}")
        if found is None:
            raise ParameterError(f"format={format!r} must be one of {known}")
        return found
    found = _BY_SUFFIX.get(path.suffix.lower())
    if found is None:
        raise ParameterError(
            f"the suffix of {path.name!r} names no format that can be written: "
            f"give format=, one of {known}"
        )
    return found


def legal_rates(format: str) -> tuple[int, ...] | None:
    """Return the sample rates that a format is limited to, or None if it takes any usual rate.

    Args:
        format: Name of the format, such as 'opus' or 'mp3'.

    Returns:
        Rates in Hz, rising.

    Raises:
        ParameterError: The format is unknown.

    Example:
        >>> legal_rates("opus")
        (8000, 12000, 16000, 24000, 48000)
    """
    found = resolve_format(Path(), format)
    return None if found.any_between else found.rates


def nearest_rate(format: str, sample_rate: int) -> int:
    """Return the rate to resample to before writing: the lowest legal one that loses no band.

    Args:
        format: Name of the format, such as 'opus' or 'mp3'.
        sample_rate: The signal's own rate in Hz.

    Returns:
        `sample_rate` where it is legal, else the next legal one above, else the highest.

    Raises:
        ParameterError: The format is unknown, or `sample_rate` is not a positive integer.

    Example:
        >>> nearest_rate("opus", 44100)
        48000
    """
    rate = positive_int("sample_rate", sample_rate)
    found = resolve_format(Path(), format)
    low, high = found.rates[0], found.rates[-1]
    if found.any_between:
        return min(-(-max(rate, low) // _step(found, rate)) * _step(found, rate), high)
    return min((legal for legal in found.rates if legal >= rate), default=high)


def check_limits(
    format: Format, *, sample_rate: int, channels: int, subtype: str | None
) -> tuple[int, int, str]:
    """Return sample rate, channels and subtype if the format can hold them.

    Args:
        format: The format to write.
        sample_rate: Samples per second.
        channels: Number of channels.
        subtype: Coding of the samples in any case, or None for the format's default.

    Raises:
        ParameterError: The format cannot hold them; the text names the remedy.
    """
    rate = positive_int("sample_rate", sample_rate)
    count = positive_int("channels", channels)
    coding = format.subtypes[0] if subtype is None else subtype.upper()
    if coding not in format.subtypes:
        raise ParameterError(
            f"subtype={subtype!r} must be one of {', '.join(format.subtypes)} for {format.name}"
        )
    if count > format.channels:
        raise ParameterError(
            f"{format.name} holds at most {format.channels} channels, not {count}: "
            "write wav, or fewer channels"
        )
    between = format.any_between and format.rates[0] <= rate <= format.rates[-1]
    if rate not in format.rates and not (between and rate % _step(format, rate) == 0):
        raise ParameterError(
            f"{format.name} takes sample rates of {_listed(format)} Hz, not {rate}: "
            f"resample to {nearest_rate(format.name, rate)} Hz first"
        )
    return rate, count, coding


def _step(format: Format, rate: int) -> int:
    """Return what a rate must be a multiple of: FLAC counts in tens of Hz beyond 16 bits."""
    return 10 if format.name == "flac" and rate > 65535 else 1


def _listed(format: Format) -> str:
    rates: Sequence[int] = format.rates
    return " to ".join(map(str, rates)) if format.any_between else ", ".join(map(str, rates))
