"""Raw data (k-space) of MR scans: ISMRMRD files and NumPy archives, without who was scanned.

>>> from denoise_engine.rawdata import read_raw
>>> raw = read_raw("scan.h5")  # doctest: +SKIP
>>> raw.kspace.shape, raw.acceleration  # doctest: +SKIP
((20, 16, 256, 256), 1.0)
"""

from denoise_engine.rawdata.placing import PlacedVolume, Placement, place
from denoise_engine.rawdata.reading import read_raw
from denoise_engine.rawdata.scan import RawData

__all__ = ["PlacedVolume", "Placement", "RawData", "place", "read_raw"]
