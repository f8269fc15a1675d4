"""The DICOM validator of Debian's dicom3tools: where it is missing a test skips, in CI it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

MISSING = "dciodvfy is missing: install Debian's dicom3tools (make test does)"
# An illegal UID is one fault, wherever it is said: a reference to it can only repeat it.
JUDGED = {"MRImage", "EnhancedMRImage", "Comprehensive3DSR", "Segmentation", "ParametricMap"}
PLACE_OF_UID = re.compile(r'(Illegal root for UID - "[^"]*") in \(.*')


@pytest.fixture(scope="session")
def dciodvfy() -> str:
    """Its path."""
    found = shutil.which("dciodvfy")
    if found is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return found


def errors_found(dciodvfy: str, files: Iterable[Path]) -> Counter[str]:
    """Every error of some files and how often; a file that is no MR image or report fails."""
    found: Counter[str] = Counter()
    for path in files:
        said = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
        lines = said.stderr.splitlines()
        assert JUDGED & set(lines), f"{path.name} was not judged: {lines[:3]}"
        found.update(PLACE_OF_UID.sub(r"\1", line) for line in lines if line.startswith("Error"))
    return found
