"""Small raw-data files, written the way scanners' converters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from denoise_engine.simulation.coils import smooth_coils, smooth_phase

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<subjectInformation><patientName>DOE^JANE</patientName><patientID>HN-4711</patientID>
<patientBirthdate>1970-01-01</patientBirthdate></subjectInformation>
<studyInformation><studyDate>2024-05-06</studyDate><studyTime>10:11:12</studyTime></studyInformation>
<measurementInformation><patientPosition>HFS</patientPosition>
<protocolName>Doe Jane knee</protocolName></measurementInformation>
<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor>
<systemFieldStrength_T>2.89</systemFieldStrength_T><institutionName>St Elsewhere</institutionName>
</acquisitionSystemInformation>
<experimentalConditions><H1resonanceFrequency_Hz>123000000</H1resonanceFrequency_Hz>
</experimentalConditions>
<encoding><encodedSpace><matrixSize><x>{nx}</x><y>{ny}</y><z>{nz}</z></matrixSize>
<fieldOfView_mm><x>{fx}</x><y>{fy}</y><z>{fz}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{rx}</x><y>{ry}</y><z>{rz}</z></matrixSize>
<fieldOfView_mm><x>{rfx}</x><y>{rfy}</y><z>{rfz}</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum>
<center>{cy}</center></kspace_encoding_step_1>
<kspace_encoding_step_2><minimum>0</minimum><maximum>{lastz}</maximum><center>{cz}</center>
</kspace_encoding_step_2></encodingLimits>
<trajectory>{trajectory}</trajectory>{parallel}</encoding>
<sequenceParameters><TR>500</TR><TE>12.5</TE><TE>25</TE><flipAngle_deg>70</flipAngle_deg>
</sequenceParameters></ismrmrdHeader>"""


def phantom_kspace(
    slices: int = 2, size: int = 64, coils: int = 4, *, seed: int = 3
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """(slices, coils, rows, columns) noiseless samples, and the images that they are of."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size, endpoint=False)] * 2, indexing="ij")
    images = np.zeros((slices, size, size), dtype=np.float32)
    for k in range(slices):
        images[k] = 100.0 * ((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1)
        images[k] += 60.0 * ((x - 0.2) ** 2 + (y + 0.3) ** 2 < (0.15 + 0.05 * k) ** 2)
        images[k] -= 50.0 * ((x + 0.3) ** 2 + (y - 0.2) ** 2 < 0.04)
    maps = smooth_coils(size, size, count=coils, rng=rng) * smooth_phase(size, size, rng=rng)
    return to_kspace(maps[None] * images[:, None]), images


def to_kspace(images: NDArray[Any], axes: tuple[int, ...] = (-2, -1)) -> NDArray[np.complex64]:
    shifted = np.fft.ifftshift(images, axes=axes)
    return np.fft.fftshift(np.fft.fftn(shifted, axes=axes, norm="ortho"), axes=axes).astype(
        np.complex64
    )


def to_images(kspace: NDArray[Any], axes: tuple[int, ...] = (-2, -1)) -> NDArray[np.complex64]:
    shifted = np.fft.ifftshift(kspace, axes=axes)
    return np.fft.fftshift(np.fft.ifftn(shifted, axes=axes, norm="ortho"), axes=axes).astype(
        np.complex64
    )


def acquisition(samples: NDArray[Any], *, flags: tuple[int, ...] = (), **head: Any) -> Any:
    """One readout (coils, samples), axial unless told otherwise."""
    made = ismrmrd.Acquisition.from_array(np.ascontiguousarray(samples, dtype=np.complex64))
    made.center_sample = samples.shape[1] // 2
    made.sample_time_us = 5.0
    made.read_dir[:], made.phase_dir[:], made.slice_dir[:] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    for flag in flags:
        made.set_flag(flag)
    for name, value in head.items():
        if name in ("position", "read_dir", "phase_dir", "slice_dir"):
            getattr(made, name)[:] = value
        elif hasattr(made.idx, name):
            setattr(made.idx, name, value)
        else:
            setattr(made, name, value)
    return made


def header(rows: int, columns: int, partitions: int = 1, **changed: Any) -> str:
    said: dict[str, Any] = {
        **{"nx": columns, "ny": rows, "nz": partitions},
        **{"rx": columns, "ry": rows, "rz": partitions},
        **{"fx": columns * 2.0, "fy": rows * 2.0, "fz": 4.0 * partitions},
        **{"cy": rows // 2, "cz": partitions // 2, "last": rows - 1, "lastz": partitions - 1},
        **{"trajectory": "cartesian", "parallel": ""},
    }
    said |= {"rfx": said["fx"], "rfy": said["fy"], "rfz": said["fz"]} | changed
    return HEADER.format(**said)


def write_file(path: Path, xml: str, acquisitions: list[Any]) -> Path:
    with ismrmrd.Dataset(str(path), mode="w") as dataset:
        dataset.write_xml_header(xml.encode())
        for made in acquisitions:
            dataset.append_acquisition(made)
    return path


def lines_of(
    kspace: NDArray[Any], lines: list[int] | None = None, *, step: float = 4.0, **head: Any
) -> list[Any]:
    """The readouts of a 2-D scan (slices, coils, rows, columns), slice after slice."""
    slices, _coils, rows, _columns = kspace.shape
    return [
        acquisition(
            kspace[s, :, row],
            kspace_encode_step_1=row,
            slice=s,
            position=(0, 0, step * s),
            **head,
        )
        for s in range(slices)
        for row in (lines if lines is not None else range(rows))
    ]


def write_scan(path: Path, kspace: NDArray[Any], *, noise_sd: float = 0.0, **changed: Any) -> Path:
    """A fully sampled 2-D scan; with noise, a noise adjustment of the same noise comes first."""
    rng = np.random.default_rng(7)
    before = []
    if noise_sd:
        kspace = kspace + noise_sd * complex_noise(rng, kspace.shape)
        adjust = noise_sd * complex_noise(rng, (kspace.shape[1], 512))
        flags = (ismrmrd.ACQ_IS_NOISE_MEASUREMENT,)
        before = [acquisition(adjust, flags=flags)]
    xml = header(kspace.shape[2], kspace.shape[3], **changed)
    return write_file(path, xml, [*before, *lines_of(kspace)])


def complex_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    real, imaginary = rng.standard_normal((2, *shape))
    return ((real + 1j * imaginary) / np.sqrt(2)).astype(np.complex64)
