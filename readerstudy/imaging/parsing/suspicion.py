"""Why a header makes one look for text in the pixels before anybody else sees them."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

BURNED_IN = "The header says that text is burned into the pixels (BurnedInAnnotation)."
WORKSTATION = "Made at a workstation after the scan (ImageType SECONDARY): it may be a screenshot."
# PS3.3 C.8.6.1: digitised video, interface, film; workstation, scanned document, image, drawing.
CONVERSIONS = {"DV", "DI", "DF", "WSD", "SD", "SI", "DRW"}
CAPTURED = "The header says that a screen, film or paper was captured (ConversionType)."


def suspicions_of(dataset: Dataset) -> list[str]:
    found = []
    if _words(dataset.get("BurnedInAnnotation")) & {"YES"}:
        found.append(BURNED_IN)
    if "SECONDARY" in _words(dataset.get("ImageType")):
        found.append(WORKSTATION)
    if _words(dataset.get("ConversionType")) & CONVERSIONS:
        found.append(CAPTURED)
    return found


def _words(value: Any) -> set[str]:
    values = [value] if value is None or isinstance(value, str) else list(value)
    return {str(item or "").strip().upper() for item in values}
