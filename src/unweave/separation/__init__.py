"""Takes mixtures apart: arrays, streams and files, in constant memory."""

from unweave.separation.door import separate
from unweave.separation.options import SeparationOptions
from unweave.separation.separator import Separator

__all__ = ["SeparationOptions", "Separator", "separate"]
