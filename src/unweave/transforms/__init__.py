"""From audio to time-frequency and back."""

from unweave.transforms.medians import median_magnitudes
from unweave.transforms.ragged import ragged
from unweave.transforms.stft import STFT, istft, stft

__all__ = ["STFT", "istft", "median_magnitudes", "ragged", "stft"]
