"""Folders of stems as PyTorch data sets: excerpts, chunks, augmentation.

A data set is a folder of tracks, `<root>/[train|val|test]/<track>/<stem>.<ext>`, a folder of
sources, `<root>/[train|val|test]/<source>/<name>.<ext>`, or MUSDB18's `<track>.stem.mp4` files.
"""

from unweave.datasets.audiotransform import AudioTransform
from unweave.datasets.chunks import AudioDataset, create_audio_dataset
from unweave.datasets.folder import AudioFolder
from unweave.datasets.options import FolderOptions
from unweave.datasets.tracks import AudioPart, Track, scan_dataset

__all__ = [
    "AudioDataset",
    "AudioFolder",
    "AudioPart",
    "AudioTransform",
    "FolderOptions",
    "Track",
    "create_audio_dataset",
    "scan_dataset",
]
