"""The layers of the first published nnAudio."""

from unweave.compat.nnaudio.v0_0._constantq import CQT, CQT1992, CQT2010, CQT1992v2, CQT2010v2
from unweave.compat.nnaudio.v0_0._dft import DFT, iSTFT_complex_2d
from unweave.compat.nnaudio.v0_0._fourier import STFT, MelSpectrogram

__all__ = [
    "CQT",
    "CQT1992",
    "CQT2010",
    "DFT",
    "STFT",
    "CQT1992v2",
    "CQT2010v2",
    "MelSpectrogram",
    "iSTFT_complex_2d",
]
