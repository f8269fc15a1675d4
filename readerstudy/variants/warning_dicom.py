"""A warning map as DICOM objects of its own, in a series beside the images that it belongs to.

The flagged voxels are a segmentation (PS3.3 A.51): viewers lay one over the images by themselves.
The error to be expected is a parametric map (A.75), in the unit of the images. Both name the
images, the network and its weights. Readers get neither: both name an arm's images. Whoever sees
the page of the series downloads both (`warning_zip`).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import highdicom as hd
import numpy as np
from highdicom import pm, seg
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

# It says which attributes it copies from where.
logging.getLogger("highdicom").setLevel(logging.WARNING)

SCHEME = "99READERSTUDY"
MANUFACTURER = "ReaderStudy"
FLAGGED_AREA = hd.sr.CodedConcept("FLAGGED", SCHEME, "Result not to be relied on")
EXPECTED_ERROR = hd.sr.CodedConcept("ERRSD", SCHEME, "Standard deviation of expected error")
ARBITRARY = hd.sr.CodedConcept("[arb'U]", "UCUM", "arbitrary unit")
SERIES_STEP = 500  # beyond the number of the images' series
COLOUR = hd.color.CIELabColor(83.0, -36.0, -27.0)  # the cyan that pages draw it in


def warning_objects(
    images: Sequence[Dataset],
    flagged: np.ndarray,
    expected_error: np.ndarray,
    record: Mapping[str, Any],
) -> dict[str, bytes]:
    """The files of the warning series by name: `flagged.dcm` and, beside it, `expected_error.dcm`.

    Parameters
    ----------
    images : sequence of Dataset
        The derived images, in the order of the slices.
    flagged : ndarray of bool
        [slices, rows, columns].
    expected_error : ndarray of float32
        The same shape, in the rescaled unit of the images.
    record : mapping
        How the images were made: model, version, weights.

    A slice without a flag has its frame too: an empty one says that it was looked at.
    """
    highest = max(float(expected_error.max()), 1e-6)
    sources = [_named(image) for image in images]
    series_uid, number = hd.UID(), int(images[0].SeriesNumber or 0) + SERIES_STEP
    shared: dict[str, Any] = {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": str(record.get("model") or "unknown"),
        "software_versions": str(record.get("model_version") or "unknown"),
        "device_serial_number": str(record.get("weights_sha256") or "none")[:64],
    }
    segmentation = seg.Segmentation(
        source_images=sources,
        pixel_array=np.asarray(flagged, dtype=np.uint8),
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(record)],
        series_instance_uid=series_uid,
        series_number=number,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        omit_empty_frames=False,
        content_label="WARNING_MAP",
        content_description="Where the images are not to be relied on",
        series_description="Warning map",
        **shared,
    )
    # Segmentations and parametric maps may not share a series: their modalities differ.
    error = pm.ParametricMap(
        source_images=sources,
        pixel_array=np.ascontiguousarray(expected_error, dtype=np.float32),
        series_instance_uid=hd.UID(),
        series_number=number + 1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(highest)],
        voi_lut_transformations=[
            hd.VOILUTTransformation(window_center=highest / 2, window_width=highest)
        ],
        content_label="EXPECTED_ERROR",
        content_description="Standard deviation of the error to be expected",
        content_qualification=hd.ContentQualificationValues.RESEARCH,
        series_description="Expected error",
        **shared,
    )
    if "BodyPartExamined" not in error and "Laterality" not in error:
        error.Laterality = ""  # type 2C: no body part is said that would rule it out
    return {"flagged.dcm": _bytes(segmentation), "expected_error.dcm": _bytes(error)}


def _segment(record: Mapping[str, Any]) -> seg.SegmentDescription:
    name = str(record.get("model") or "unknown")
    return seg.SegmentDescription(
        segment_number=1,
        segment_label="Not to be relied on",
        segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
        segmented_property_type=FLAGGED_AREA,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"Calibrated uncertainty of {name}",
            family=codes.DCM.ArtificialIntelligence,
            version=str(record.get("model_version") or "unknown"),
        ),
        display_color=COLOUR,
    )


def _mapping(highest: float) -> pm.RealWorldValueMapping:
    return pm.RealWorldValueMapping(
        lut_label="SD",
        lut_explanation="SD of the error to be expected, in the unit of the images",
        unit=ARBITRARY,
        value_range=(0.0, highest),
        intercept=0.0,
        slope=1.0,
        quantity_definition=EXPECTED_ERROR,
    )


def _named(image: Dataset) -> Dataset:
    """Without its pixels; a code alone is a family name: the caret says that no part is missing."""
    named = Dataset()
    for element in image:
        if element.keyword != "PixelData":
            named.add(deepcopy(element))
    named.file_meta = image.file_meta
    code = str(image.get("PatientName") or "")
    named.PatientName = code if "^" in code or not code else f"{code}^"
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        if keyword not in named:
            setattr(named, keyword, "")
    if "AccessionNumber" not in named:
        named.AccessionNumber = ""
    return named


def _bytes(target: Dataset) -> bytes:
    buffer = io.BytesIO()
    target.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
