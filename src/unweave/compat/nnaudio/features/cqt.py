"""Constant-Q transforms and the inverse of one, by nnAudio's names."""

from unweave.compat.nnaudio.features._cqt1992 import CQT, CQT1992, CQT1992v2
from unweave.compat.nnaudio.features._cqt2010 import CQT2010, CQT2010v2
from unweave.compat.nnaudio.features._icqt import iCQT

__all__ = ["CQT", "CQT1992", "CQT2010", "CQT1992v2", "CQT2010v2", "iCQT"]
