"""The layers of the first published nnAudio, of 2019, by their own names and defaults.

`from unweave.compat.nnaudio.v0_0 import Spectrogram` stands for the `from nnAudio import
Spectrogram` of code that was written for versions up to 0.1.5. All outputs are magnitudes, and
constant-Q transforms start at 220 Hz. Arguments that later versions of these years added
(`output_format`, `power`, `verbose`, `device`) may be given by name. As then, buffers are no part
of checkpoints; parameters are.
"""

from unweave.compat.nnaudio.v0_0 import Spectrogram
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
    "Spectrogram",
    "iSTFT_complex_2d",
]
