"""nnAudio's layers by its own names: code written for nnAudio runs with one import changed.

    from nnAudio import Spectrogram    ->  from unweave.compat.nnaudio import Spectrogram
    from nnAudio import features       ->  from unweave.compat.nnaudio import features
    from nnAudio.features.mel import MelSpectrogram
                                       ->  from unweave.compat.nnaudio.features.mel import ...
    import nnAudio                     ->  import unweave.compat.nnaudio as nnAudio

Names, arguments, their order and their defaults are those of nnAudio 0.3.4, but for `verbose`,
which is off unless asked for; those of the first published version are in
`unweave.compat.nnaudio.v0_0`. Checkpoints of nnAudio load, and ours load in nnAudio. The numbers
are nnAudio's, but for its bugs: docs/nnaudio.md lists every difference, and the layers of
`unweave.transforms` that are faster and equal librosa.
"""

from unweave.compat.nnaudio import Spectrogram, features

__all__ = ["Spectrogram", "features"]
