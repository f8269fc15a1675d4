"""What a header tells a denoiser: the acquired matrix, and whether a network ran already."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from denoise_engine.dicom.frames import Frame, functional_groups, is_enhanced

# The coding scheme of what this engine derives; see `derived.py`.
SCHEME = "99READERSTUDY"
SIEMENS_DEEP_RESOLVE = ("DRG", "DRB", "DRS")  # Gain, Boost, Sharp
OFF = ("", "0", "NONE", "NO", "OFF")


DIRECTIONS = {"ROW": "ROW", "COL": "COL", "COLUMN": "COL"}  # enhanced images write COLUMN


def acquired_matrix(frame: Frame) -> tuple[int, int] | None:
    """The acquired (rows, columns) behind an image, None where the header does not tell.

    Derived images tell nothing: what they were reformatted from lay on another grid. Enhanced
    images name the steps (PS3.3 C.8.13.5.3); with parallel imaging or partial Fourier their phase
    steps are lines measured, not lines of the matrix, and no resolution is known. For classic
    images and for the rest see `matrix_of_header`.
    """
    if _words(frame.value("ImageType"))[:1] == ["DERIVED"]:
        return None
    direction = frame.text("InPlanePhaseEncodingDirection")
    if is_enhanced(frame.dataset):
        if "YES" in (frame.text("ParallelAcquisition"), frame.text("PartialFourier")):
            return None
        steps = [frame.value("FrequencySteps"), frame.value("PhaseSteps")]
        matrix: Sequence[object] = (
            [0, steps[0], steps[1], 0]
            if DIRECTIONS.get(direction) == "ROW"
            else [steps[0], 0, 0, steps[1]]
        )
        if direction not in DIRECTIONS:
            return None
    else:
        stored = frame.value("AcquisitionMatrix")
        matrix = stored if isinstance(stored, Sequence) and not isinstance(stored, str) else ()
    spacing = frame.numbers("PixelSpacing", 2)
    return matrix_of_header(
        matrix,
        direction,
        size=(int(frame.dataset.Rows), int(frame.dataset.Columns)),
        spacing=(float(spacing[0]), float(spacing[1])),
        percent_phase_fov=frame.number_of("PercentPhaseFieldOfView"),
    )


def matrix_of_header(
    matrix: Sequence[object],
    direction: str | None,
    *,
    size: tuple[int, int],
    spacing: tuple[float, float] = (1.0, 1.0),
    percent_phase_fov: float | None = None,
) -> tuple[int, int] | None:
    """Acquired (rows, columns) from AcquisitionMatrix (0018,1310), None where it does not tell.

    Its four values are frequency rows, frequency columns, phase rows, phase columns, two of them
    zero (PS3.3 C.8.3.1). A frequency of 512 that runs along the columns of an image resolves 512
    of its *rows*: 0, 512, 269, 0 with phase direction ROW is 512 rows by 269 columns.

    Parameters
    ----------
    matrix : sequence
        The four values; anything else tells nothing.
    direction : str or None
        InPlanePhaseEncodingDirection. It decides over the places in `matrix`, because some
        scanners put the phase count into the wrong one of its two places; without it the places
        decide.
    size : (int, int)
        Rows and columns of the image.
    spacing : (float, float)
        PixelSpacing, mm.
    percent_phase_fov : float, optional
        PercentPhaseFieldOfView. Where the image reaches beyond the field of view that was measured
        (it was padded), the phase steps are counted over the image, so that the result never lies
        below the true resolution.
    """
    if len(matrix) != 4:
        return None
    places = [_count(value) for value in matrix]
    frequency, phase = places[0] or places[1], places[2] or places[3]
    axis = DIRECTIONS.get(str(direction or "").strip().upper())
    if axis is None:
        if places[1] and places[2] and not (places[0] or places[3]):
            axis = "ROW"
        elif places[0] and places[3] and not (places[1] or places[2]):
            axis = "COL"
    if not frequency or not phase or axis is None:
        return None
    if (phase, frequency) == (size if axis == "ROW" else size[::-1]):
        return size  # the header names the wrong direction: the counts fit the image transposed
    if percent_phase_fov and percent_phase_fov > 0:
        height, width = spacing[0] * size[0], spacing[1] * size[1]
        shape = width / height if axis == "ROW" else height / width
        phase = max(phase, round(phase * shape / (percent_phase_fov / 100)))
    return (frequency, phase) if axis == "ROW" else (phase, frequency)


def _count(value: object) -> int:
    try:
        return max(0, int(str(value)))
    except ValueError:
        return 0


def vendor_denoised(frame: Frame) -> str | None:
    """Say so where the header tells of denoising by a network before; None where it does not.

    Scanners label images from in-line deep-learning reconstruction as original ones, so that only
    private attributes (Siemens, GE, Philips) tell, and not all of them do: None is no proof.
    """
    dataset = frame.dataset
    for step in dataset.get("DerivationCodeSequence") or ():
        if str(step.get("CodingSchemeDesignator") or "") == SCHEME:
            return "The images were denoised by this engine before."
    values = [*_words(frame.value("ImageType")), *_words(dataset.get("ImageType"))]
    places = [dataset]
    if is_enhanced(dataset):
        for groups in functional_groups(dataset, frame.number):
            for code in groups.get("DerivationImageSequence") or ():
                for step in code.get("DerivationCodeSequence") or ():
                    if str(step.get("CodingSchemeDesignator") or "") == SCHEME:
                        return "The images were denoised by this engine before."
            places.append(groups)
            places.extend(groups.get("MRImageFrameTypeSequence") or ())
    for place in places:
        values += _private(place, 0x0021, 0x75, "SIEMENS")
    found = [value for value in SIEMENS_DEEP_RESOLVE if value in values]
    if found:
        return f"The scanner denoised the images with a network (Deep Resolve: {', '.join(found)})."
    if any(value not in OFF for value in _private(dataset, 0x0043, 0xCA, "GEMS")):
        return "The scanner denoised the images with a network (AIR Recon DL)."
    if any(value.endswith("_AI") for value in _private(dataset, 0x2005, 0x10, "PHILIPS")):
        return "The scanner denoised the images with a network (SmartSpeed AI)."
    return None


def _private(dataset: Dataset, group: int, element: int, creator: str) -> list[str]:
    """The values of a private attribute in whichever block its creator reserved (PS3.5 7.8.1)."""
    found: list[str] = []
    for tag in list(dataset.keys()):
        if tag.group != group or tag.element <= 0xFF or tag.element & 0xFF != element:
            continue
        owner = dataset.get((group, tag.element >> 8))
        if owner is None or not str(owner.value).strip().upper().startswith(creator):
            continue
        found += _words(dataset[tag].value)
    return found


def _words(value: object) -> list[str]:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").rstrip("\0")
    if isinstance(value, str):
        return [word.strip().upper() for word in value.split("\\")]
    if isinstance(value, Sequence):
        return [str(word).strip().upper() for word in value]
    return [] if value is None else [str(value).strip().upper()]
