"""What the engine refuses, in sentences for the person who asked."""


class EngineError(Exception):
    """Base of every refusal of the engine; its message is meant to be shown to a user."""


class UnusableVolumeError(EngineError):
    """The image cannot be processed: wrong shape, NaN or infinite values, no signal."""


class UntrustedNoiseError(EngineError):
    """The noise level could not be estimated well enough to act on it."""


class NoiseOutOfRangeError(EngineError):
    """The noise level lies outside the range that the model was trained on."""


class StrengthError(EngineError):
    """The asked strength is impossible: outside its range, or not reachable by the model."""


class ModelError(EngineError):
    """The model is unknown, its weights are missing, or their hash does not match."""


class BackendError(EngineError):
    """The asked device or number format is not available on this machine."""


class SimulationError(EngineError):
    """The acquisition cannot be simulated from this source or with these settings."""


class TrainingDataError(EngineError):
    """The training data are missing, unreadable, or not allowed (spine)."""


class DicomError(EngineError):
    """The DICOM images are no series that can be processed, or a derived one cannot be written."""


class RawDataError(EngineError):
    """The raw data cannot be read, or are of a kind that cannot be reconstructed here."""


class ReconstructionError(EngineError):
    """The raw data cannot be reconstructed: their shape, samples, sampling or calibration."""
