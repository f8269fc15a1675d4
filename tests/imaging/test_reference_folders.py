"""Every folder of the reference data, taken in one go by `manage.py ingest` with a mapping file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from readerstudy.imaging.models import InboxSeries, Series
from readerstudy.imaging.selectors import load_volume
from tests.factories import make_study

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data"),
]

SAME = "This is the same image as"
# folder → (series stored: slices), (series in the inbox: slices, why), refused files, their reason
EXPECTED: dict[str, tuple[list[int], list[tuple[int, str]], int, str]] = {
    "acr-phantom-philips3t-csai-off": ([12], [], 0, ""),
    "acr-phantom-philips3t-csai-on": ([12], [], 0, ""),
    "brain-ax-dwi-canon3t": ([40], [], 0, ""),
    "brain-ax-pdfse-ge1p5t": ([20], [], 0, ""),
    "brain-ax-t2tse-siemens3t": ([28], [], 0, ""),
    "brain-sag-t1gre-uih3t": ([16], [], 0, ""),
    "brain-sag-t1memprage-siemens3t": ([60], [], 0, ""),
    "brain-t1-enhanced-siemens-xa30": ([96], [], 0, ""),
    "header-only-quirks/ge-classic": ([4], [], 0, ""),
    "header-only-quirks/hyperfine-lowfield-enhanced": ([8], [], 0, ""),
    "header-only-quirks/philips-enhanced": ([8], [], 0, ""),
    "knee-sag-t2map-ge3t-anon": ([], [(24, "echo times"), (24, "echo times")], 0, ""),
    "knee-sag-t2map-ge3t-original-header": ([8], [], 0, ""),
    "lumbar-sag-t2-wrapped": ([38], [], 0, ""),
    "overlay-siemens": ([1], [], 0, ""),  # its overlay planes are not copied
    "shoulder-hitachi-small": ([4], [], 0, ""),
    "shoulder-philips-jpeg2000": ([], [], 2, "Two images lie at one place"),
    "transfer-syntax-siemens-mosaic": ([], [], 9, "This is a Siemens mosaic"),
    "transfer-syntax-toshiba-small": ([1], [], 7, SAME),
}


def test_every_folder_is_judged_as_a_human_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study()
    lines = ["path,volunteer,arm"]
    codes = {}
    for number, folder in enumerate(EXPECTED, start=1):
        codes[f"V{number:02d}"] = folder
        lines.append(f"{folder},V{number:02d},STD")
    mapping = tmp_path / "mapping.csv"
    mapping.write_text("\n".join(lines), encoding="utf-8")
    call_command("ingest", study.slug, str(SHARED), mapping=mapping)
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)

    stored: dict[str, list[int]] = {folder: [] for folder in EXPECTED}
    waiting: dict[str, list[tuple[int, str]]] = {folder: [] for folder in EXPECTED}
    refused: dict[str, list[str]] = {folder: [] for folder in EXPECTED}
    for item in summary["series"]:
        stored[codes[item["volunteer"]]].append(item["slices"])
    for item in summary["inbox"]:
        said = " ".join([item["note"], *item["suspicions"]])
        waiting[codes[item["volunteer_guess"]]].append((item["slices"], said))
    for item in summary["refused"]:
        name = item["name"].removeprefix(f"{SHARED.name}/")
        if "/" not in name:  # what lies beside the folders
            assert item["reason"] == "This is not a DICOM file."
            continue
        folder = next(f for f in EXPECTED if name.startswith(f"{f}/"))
        refused[folder].append(item["reason"])
    table = ["folder | stored | waits | refused"]
    for folder in EXPECTED:
        reasons = "; ".join(sorted({r.partition(" as ")[0] for r in refused[folder]}))
        table.append(f"{folder} | {stored[folder]} | {waiting[folder]} | {reasons}")
    print("\n".join(table))
    for folder, (slices, inbox, count, reason) in EXPECTED.items():
        assert stored[folder] == slices, (folder, stored[folder], refused[folder][:2])
        assert len(waiting[folder]) == len(inbox), (folder, waiting[folder])
        for (found, said), (size, why) in zip(waiting[folder], inbox, strict=True):
            assert (found, why in said) == (size, True), (folder, said)
        assert len(refused[folder]) == count, (folder, refused[folder][:2])
        assert all(reason in said for said in refused[folder])
    for series in Series.objects.filter(volunteer__study=study):
        assert np.isfinite(load_volume(series)).all()
    assert InboxSeries.objects.filter(study=study).count() == 2
