"""DICOM series in, derived DICOM series out: classic MR images and enhanced multi-frame ones.

>>> from denoise_engine.dicom import read_series, write_derived
>>> series = read_series("sagittal_t2")  # doctest: +SKIP
>>> result = denoise_engine.denoise(series.volume, acquired=series.acquired)  # doctest: +SKIP
>>> write_derived(series, result.volume, result.record(), "sagittal_t2_dlr")  # doctest: +SKIP
"""

from denoise_engine.dicom.acquisition import matrix_of_header
from denoise_engine.dicom.derived import derived_datasets
from denoise_engine.dicom.reading import DicomSeries, read_series
from denoise_engine.dicom.writing import write_derived

__all__ = ["DicomSeries", "derived_datasets", "matrix_of_header", "read_series", "write_derived"]
