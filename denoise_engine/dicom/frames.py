"""One image of a series, classic or enhanced, and what its header says of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from denoise_engine.errors import DicomError

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"

# Where an enhanced image keeps what a classic one has at the top level (PS3.3 C.7.6.16, C.8.13.5).
FUNCTIONAL_GROUPS: dict[str, tuple[str, str]] = {
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
    "SpacingBetweenSlices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "InPlanePhaseEncodingDirection": ("MRFOVGeometrySequence", "InPlanePhaseEncodingDirection"),
    "PercentPhaseFieldOfView": ("MRFOVGeometrySequence", "PercentPhaseFieldOfView"),
    "FrequencySteps": ("MRFOVGeometrySequence", "MRAcquisitionFrequencyEncodingSteps"),
    "PhaseSteps": ("MRFOVGeometrySequence", "MRAcquisitionPhaseEncodingStepsInPlane"),
    "ParallelAcquisition": ("MRModifierSequence", "ParallelAcquisition"),
    "PartialFourier": ("MRModifierSequence", "PartialFourier"),
}


def is_enhanced(dataset: Dataset) -> bool:
    """Whether the data set is an enhanced multi-frame MR image."""
    return str(dataset.get("SOPClassUID") or "") == ENHANCED_MR_IMAGE


def frame_count(dataset: Dataset) -> int:
    """Frames that the header announces; raises ValueError or TypeError for nonsense."""
    return int(dataset.get("NumberOfFrames") or 1)


def functional_groups(dataset: Dataset, number: int) -> Iterator[Dataset]:
    """The functional groups that hold for a frame (from 0): its own first, then the shared."""
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    if own is not None and number < len(own):
        yield own[number]
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        yield shared[0]


def has_window(dataset: Dataset) -> bool:
    """Whether there is a window that can be shown (PS3.3 C.11.2.1.2: no width below 1)."""
    widths = dataset.get("WindowWidth")
    if widths in (None, "") or dataset.get("WindowCenter") in (None, ""):
        return False
    try:
        return all(
            float(width) >= 1 for width in (widths if isinstance(widths, MultiValue) else [widths])
        )
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True)
class Frame:
    """One image: a classic file, or a frame of an enhanced one.

    Attributes
    ----------
    dataset : Dataset
        The header it stands in.
    source : int
        Which of the data sets of the series that is, from 0.
    number : int
        Its place in that data set, from 0.
    file : str
        What the file is called, for messages.
    """

    dataset: Dataset
    source: int
    number: int
    file: str

    @property
    def name(self) -> str:
        """How a message calls this image."""
        if is_enhanced(self.dataset):
            return f"frame {self.number + 1} of “{self.file}”"
        return f"“{self.file}”"

    def value(self, keyword: str) -> Any:
        """The value that holds for this image, None where there is none.

        An enhanced image is searched in its own functional groups, the shared ones, and at the
        top level, in this order.
        """
        if is_enhanced(self.dataset) and keyword in FUNCTIONAL_GROUPS:
            group, name = FUNCTIONAL_GROUPS[keyword]
            for place in functional_groups(self.dataset, self.number):
                items = place.get(group)
                if items:
                    value = items[0].get(name)
                    if value is not None and value != "":
                        return value
        value = self.dataset.get(keyword)
        return None if value is None or value == "" else value

    def text(self, keyword: str) -> str:
        """The same as upper-case text, empty where there is none."""
        value = self.value(keyword)
        return "" if value is None else str(value).strip().upper()

    def number_of(self, keyword: str, default: float | None = None) -> float | None:
        """One number, or the default where the header has none. Raises DicomError for no number."""
        value = self.value(keyword)
        if value is None:
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DicomError(f"{keyword} of {self.name} is not a number.")
        return number

    def numbers(self, keyword: str, count: int) -> NDArray[np.float64]:
        """An attribute of `count` numbers, which must be there. Raises DicomError."""
        value = self.value(keyword)
        if value is None:
            raise DicomError(f"{self.name} has no {keyword}: the slice cannot be placed.")
        try:
            found = np.asarray([float(item) for item in value], dtype=np.float64)
        except (TypeError, ValueError):
            found = np.empty(0)
        if found.size != count or not np.all(np.isfinite(found)):
            raise DicomError(f"{keyword} of {self.name} does not hold {count} numbers.")
        return found

    def rescale(self) -> tuple[float, float]:
        """Slope and intercept that turn stored integers into values. Raises DicomError."""
        slope = self.number_of("RescaleSlope", 1.0)
        intercept = self.number_of("RescaleIntercept", 0.0)
        if not slope:
            raise DicomError(f"RescaleSlope of {self.name} is zero: its pixels have no values.")
        return slope, intercept or 0.0

    @property
    def kind(self) -> str:
        """The third value of the image type (magnitude, phase, …), empty where there is none."""
        value = self.value("ImageType")
        values = [] if value is None or isinstance(value, str) else list(value)
        return str(values[2]).strip().upper() if len(values) > 2 else ""


def frames_of(datasets: list[Dataset], files: list[str]) -> list[Frame]:
    """Every image of some data sets, in their order."""
    return [
        Frame(dataset, source, number, file)
        for source, (dataset, file) in enumerate(zip(datasets, files, strict=True))
        for number in range(frame_count(dataset))
    ]
