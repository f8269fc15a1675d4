"""Raw data (k-space) of MR scans: ISMRMRD files and NumPy archives, without who was scanned.

>>> from denoise_engine.rawdata import read_raw
>>> raw = read_raw("scan.h5")  # doctest: +SKIP
>>> raw.kspace.shape, raw.acceleration  # doctest: +SKIP
((20, 16, 256, 256), 1.0)
"""

from denoise_engine.rawdata.placing import PlacedVolume, Placement, place
from denoise_engine.rawdata.reading import read_raw
from denoise_engine.rawdata.reconstructing import (
    RawReconstruction,
    Reconstruction,
    reconstruct_raw,
)
from denoise_engine.rawdata.scan import RawData
from denoise_engine.rawdata.storing import load_raw, save_raw
from denoise_engine.rawdata.undersampling import Sampling, undersampled
from denoise_engine.rawdata.writing import write_reconstructed

__all__ = [
    "PlacedVolume",
    "Placement",
    "RawData",
    "RawReconstruction",
    "Reconstruction",
    "Sampling",
    "load_raw",
    "place",
    "read_raw",
    "reconstruct_raw",
    "save_raw",
    "undersampled",
    "write_reconstructed",
]
