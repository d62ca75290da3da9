"""From audio to time-frequency and back."""

from unweave.transforms._scale import stft_frequencies
from unweave.transforms.chroma import chroma_cqt, chroma_stft, cq_to_chroma
from unweave.transforms.chromabank import chroma_filter_bank, cq_chroma_filter_bank
from unweave.transforms.chromalayers import ChromaCQT, ChromaSTFT
from unweave.transforms.compression import (
    LogCompress,
    PowerCompress,
    log_compress,
    log_expand,
    power_compress,
    power_expand,
)
from unweave.transforms.constantq import cqt, vqt
from unweave.transforms.constantq_layer import CQT, VQT
from unweave.transforms.delta import Delta, delta
from unweave.transforms.gammatone import (
    Gammatonegram,
    gammatone_filter_bank,
    gammatone_frequencies,
    gammatonegram,
)
from unweave.transforms.griffinlim import GriffinLim, griffinlim
from unweave.transforms.hybridcq import hybrid_cqt, pseudo_cqt
from unweave.transforms.icqt import icqt
from unweave.transforms.istftlayer import ISTFT
from unweave.transforms.medians import median_magnitudes
from unweave.transforms.mel import MelSpectrogram, mel_spectrogram
from unweave.transforms.melbank import mel_filter_bank, mel_frequencies
from unweave.transforms.melinversion import inverse_mel
from unweave.transforms.mfcc import MFCC, inverse_mfcc, mfcc
from unweave.transforms.nsgt import NSGT, insgt, nsgt
from unweave.transforms.pcen import PCEN, inverse_pcen, pcen, pcen_stream
from unweave.transforms.periodicity import CFP, Periodicity, cfp
from unweave.transforms.ragged import ragged
from unweave.transforms.scaling import (
    PowerToDB,
    amplitude_to_db,
    db_to_amplitude,
    db_to_power,
    power_to_db,
)
from unweave.transforms.stft import istft, stft
from unweave.transforms.stftlayer import STFT
from unweave.transforms.streaming import StreamingISTFT, StreamingSTFT

__all__ = [
    "CFP",
    "CQT",
    "ISTFT",
    "MFCC",
    "NSGT",
    "PCEN",
    "STFT",
    "VQT",
    "ChromaCQT",
    "ChromaSTFT",
    "Delta",
    "Gammatonegram",
    "GriffinLim",
    "LogCompress",
    "MelSpectrogram",
    "Periodicity",
    "PowerCompress",
    "PowerToDB",
    "StreamingISTFT",
    "StreamingSTFT",
    "amplitude_to_db",
    "cfp",
    "chroma_cqt",
    "chroma_filter_bank",
    "chroma_stft",
    "cq_chroma_filter_bank",
    "cq_to_chroma",
    "cqt",
    "db_to_amplitude",
    "db_to_power",
    "delta",
    "gammatone_filter_bank",
    "gammatone_frequencies",
    "gammatonegram",
    "griffinlim",
    "hybrid_cqt",
    "icqt",
    "insgt",
    "inverse_mel",
    "inverse_mfcc",
    "inverse_pcen",
    "istft",
    "log_compress",
    "log_expand",
    "median_magnitudes",
    "mel_filter_bank",
    "mel_frequencies",
    "mel_spectrogram",
    "mfcc",
    "nsgt",
    "pcen",
    "pcen_stream",
    "power_compress",
    "power_expand",
    "power_to_db",
    "pseudo_cqt",
    "ragged",
    "stft",
    "stft_frequencies",
    "vqt",
]
