"""The layers by the older name of their module, `nnAudio.Spectrogram`.

Beside those of today there are two that nnAudio has given up: `DFT` and `iSTFT_complex_2d`.
"""

from unweave.compat.nnaudio.features import (
    CFP,
    CQT,
    CQT1992,
    CQT2010,
    MFCC,
    STFT,
    VQT,
    Combined_Frequency_Periodicity,
    CQT1992v2,
    CQT2010v2,
    Gammatonegram,
    Griffin_Lim,
    MelSpectrogram,
    iCQT,
    iSTFT,
)
from unweave.compat.nnaudio.v0_0._dft import DFT, iSTFT_complex_2d

__all__ = [
    "CFP",
    "CQT",
    "CQT1992",
    "CQT2010",
    "DFT",
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
    "iSTFT_complex_2d",
]
