"""Takes mixtures apart: arrays, streams and files, in constant memory."""

from unweave.separation.batch import FileResult, separate_files
from unweave.separation.door import separate
from unweave.separation.layout import OutputOptions, Track
from unweave.separation.options import SeparationOptions
from unweave.separation.separator import Separator
from unweave.separation.songwriter import StemResult

__all__ = [
    "FileResult",
    "OutputOptions",
    "SeparationOptions",
    "Separator",
    "StemResult",
    "Track",
    "separate",
    "separate_files",
]
