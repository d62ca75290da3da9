"""Folders of stems as PyTorch data sets: excerpts, chunks, augmentation.

A data set is a folder of tracks, `<root>/[train|val|test]/<track>/<stem>.<ext>`, a folder of
sources, `<root>/[train|val|test]/<source>/<name>.<ext>`, or MUSDB18's `<track>.stem.mp4` files.
"""

from unweave.datasets.audiotransform import AudioTransform
from unweave.datasets.augment import ChannelSwap, Compose, Gain, Polarity, Remix
from unweave.datasets.chunks import AudioDataset, create_audio_dataset
from unweave.datasets.equaliser import Equaliser
from unweave.datasets.folder import AudioFolder
from unweave.datasets.images import SpectrogramImageFolder
from unweave.datasets.limiter import Limiter
from unweave.datasets.options import FolderOptions
from unweave.datasets.recipes import standard_augmentation
from unweave.datasets.repitch import Repitch
from unweave.datasets.splitting import MUSDB_VALIDATION_TRACKS
from unweave.datasets.tracks import AudioPart, Track, scan_dataset

__all__ = [
    "MUSDB_VALIDATION_TRACKS",
    "AudioDataset",
    "AudioFolder",
    "AudioPart",
    "AudioTransform",
    "ChannelSwap",
    "Compose",
    "Equaliser",
    "FolderOptions",
    "Gain",
    "Limiter",
    "Polarity",
    "Remix",
    "Repitch",
    "SpectrogramImageFolder",
    "Track",
    "create_audio_dataset",
    "scan_dataset",
    "standard_augmentation",
]
