"""Folders of stems as PyTorch data sets: excerpts, chunks, augmentation.

A data set is a folder of tracks, `<root>/[train|val|test]/<track>/<stem>.<ext>`, a folder of
sources, `<root>/[train|val|test]/<source>/<name>.<ext>`, or MUSDB18's `<track>.stem.mp4` files.
"""

from unweave.datasets.folder import AudioFolder
from unweave.datasets.options import FolderOptions
from unweave.datasets.tracks import AudioPart, Track, scan_dataset

__all__ = ["AudioFolder", "AudioPart", "FolderOptions", "Track", "scan_dataset"]
