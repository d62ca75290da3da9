"""The layers of nnAudio.features by their own names."""

from unweave.compat.nnaudio.features.cfp import CFP, Combined_Frequency_Periodicity
from unweave.compat.nnaudio.features.cqt import CQT, CQT1992, CQT2010, CQT1992v2, CQT2010v2, iCQT
from unweave.compat.nnaudio.features.gammatone import Gammatonegram
from unweave.compat.nnaudio.features.griffin_lim import Griffin_Lim
from unweave.compat.nnaudio.features.mel import MFCC, MelSpectrogram
from unweave.compat.nnaudio.features.stft import STFT, iSTFT
from unweave.compat.nnaudio.features.vqt import VQT

__all__ = [
    "CFP",
    "CQT",
    "CQT1992",
    "CQT2010",
    "MFCC",
    "STFT",
    "VQT",
    "CQT1992v2",
    "CQT2010v2",
    "Combined_Frequency_Periodicity",
    "Gammatonegram",
    "Griffin_Lim",
    "MelSpectrogram",
    "iCQT",
    "iSTFT",
]
