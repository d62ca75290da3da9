"""From audio to time-frequency and back."""

from unweave.transforms.compression import (
    LogCompress,
    PowerCompress,
    log_compress,
    log_expand,
    power_compress,
    power_expand,
)
from unweave.transforms.griffinlim import GriffinLim, griffinlim
from unweave.transforms.medians import median_magnitudes
from unweave.transforms.mel import MelSpectrogram, mel_spectrogram
from unweave.transforms.melbank import mel_filter_bank, mel_frequencies
from unweave.transforms.nsgt import NSGT, insgt, nsgt
from unweave.transforms.ragged import ragged
from unweave.transforms.scaling import (
    PowerToDB,
    amplitude_to_db,
    db_to_amplitude,
    db_to_power,
    power_to_db,
)
from unweave.transforms.stft import STFT, istft, stft

__all__ = [
    "NSGT",
    "STFT",
    "GriffinLim",
    "LogCompress",
    "MelSpectrogram",
    "PowerCompress",
    "PowerToDB",
    "amplitude_to_db",
    "db_to_amplitude",
    "db_to_power",
    "griffinlim",
    "insgt",
    "istft",
    "log_compress",
    "log_expand",
    "median_magnitudes",
    "mel_filter_bank",
    "mel_frequencies",
    "mel_spectrogram",
    "nsgt",
    "power_compress",
    "power_expand",
    "power_to_db",
    "ragged",
    "stft",
]
