"""Every error that unweave raises on purpose.

    UnweaveError
    ├── ParameterError (ValueError)     an argument is out of range or does not fit the others
    ├── AudioFileError (OSError)        an audio file cannot be read or written
    ├── WeightsError                    model weights are missing, corrupt or foreign
    ├── ConfigError                     a configuration file cannot be read or holds what it may not
    ├── CodecError                      an image holds no spectrogram, or is damaged
    ├── DatasetError                    a data set is empty, incomplete or holds foreign files
    ├── DependencyError (ImportError)   an optional package is needed: the text names the extra
    └── Cancelled                       the caller asked a running separation to stop

The text says what was given, what is allowed and how to fix it.
"""


class UnweaveError(Exception):
    """Base of all errors that unweave raises on purpose."""


class ParameterError(UnweaveError, ValueError):
    """An argument is out of range, of the wrong shape, or does not fit the others."""


class AudioFileError(UnweaveError, OSError):
    """An audio file cannot be read or written; the text names the file and the remedy."""


class WeightsError(UnweaveError):
    """Model weights are missing, corrupt, or not unweave's."""


class ConfigError(UnweaveError):
    """A configuration file is missing or unreadable, or a setting is unknown or impossible."""


class CodecError(UnweaveError):
    """An image is damaged or foreign, or holds a spectrogram in a way that is not known."""


class DatasetError(UnweaveError):
    """A data set is missing, empty, lacks a stem or holds a foreign file; the text names it."""


class DependencyError(UnweaveError, ImportError):
    """An optional dependency is missing; the text names the extra that installs it."""


class Cancelled(UnweaveError):
    """The caller's `cancel` asked a running separation to stop."""
