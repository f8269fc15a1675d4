"""Why a header makes one look for text in the pixels before anybody else sees them."""

from __future__ import annotations

from typing import Any

from .lookups import Header

BURNED_IN = "The header says that text is burned into the pixels (BurnedInAnnotation)."
SCREENSHOT = "The header calls it a screenshot (ImageType)."
# What makers write into the image type of a saved screen. SECONDARY alone says no more than that
# the image was computed after the scan, as every reformatted series is.
SCREENS = ("SCREEN SAVE", "SCREENSAVE", "SCREEN_SAVE", "SCREENSHOT", "SECONDARY CAPTURE", "CAPTURE")
# PS3.3 C.8.6.1: digitised video, interface, film; workstation, scanned document, image, drawing.
CONVERSIONS = {"DV", "DI", "DF", "WSD", "SD", "SI", "DRW"}
CAPTURED = "The header says that a screen, film or paper was captured (ConversionType)."


def suspicions_of(header: Header) -> list[str]:
    found = []
    if _words(header("BurnedInAnnotation")) & {"YES"}:
        found.append(BURNED_IN)
    if _words(header("ImageType")) & set(SCREENS):
        found.append(SCREENSHOT)
    if _words(header("ConversionType")) & CONVERSIONS:
        found.append(CAPTURED)
    return found


def _words(value: Any) -> set[str]:
    values = [value] if value is None or isinstance(value, str) else list(value)
    return {str(item or "").strip().upper() for item in values}
