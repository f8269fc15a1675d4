"""R, PSPP and R's haven on the bundle itself: the same p and q, the same labels."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from readerstudy.reports.bundles.contents import parts_of
from readerstudy.reports.report import named_report
from tests.reports.published import make_published_study, unblind

pytestmark = pytest.mark.django_db


def require(program: str, *, library: str = "") -> None:
    """Without the program a test is skipped, in CI it fails."""
    missing = shutil.which(program) is None
    if not missing and library:
        said = subprocess.run(
            [program, "-e", f"library({library})"], capture_output=True, check=False
        )
        missing = said.returncode != 0
    if missing:
        message = f"{program} {library} is not installed: `make test` installs it."
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    study = make_published_study()
    unblind(study, None, "reviewed")
    study.refresh_from_db()
    report = named_report(study)
    parts = parts_of(study, report)
    needed = (parts[p] for p in ("Data", "SPSS, Stata and spreadsheet files", "Scripts"))
    files = {name: make() for makers in needed for name, make in makers.items()}
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def rows(content: bytes) -> dict[tuple[str, ...], dict[str, str]]:
    found = csv.DictReader(io.StringIO(content.decode()))
    return {tuple(row[key] for key in ("metric", "row", "a", "b")): row for row in found}


@pytest.mark.parametrize(
    ("program", "arguments", "made"),
    [
        ("Rscript", ["recompute_tables.R"], "tests_r.csv"),
        ("pspp", ["recompute_tables.sps"], "tests_spss.csv"),
    ],
)
def test_another_program_gives_the_same_p_and_q(
    folder: Path, program: str, arguments: list[str], made: str
) -> None:
    require(program, library="exactRankTests" if program == "Rscript" else "")
    done = subprocess.run(
        [program, *arguments],
        cwd=folder / "scripts",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    ours = rows((folder / "tests.csv").read_bytes())
    theirs = rows((folder / "scripts" / made).read_bytes())
    assert ours.keys() == theirs.keys()
    for key, row in ours.items():
        for name in ("p", "q", "w_plus", "w_minus"):
            assert float(theirs[key][name]) == pytest.approx(float(row[name]), abs=1e-9), key


def test_pspp_and_haven_read_the_labels(folder: Path) -> None:
    require("pspp")
    require("Rscript", library="haven")
    (folder / "look.sps").write_text("GET FILE='ratings_long.sav'.\nDISPLAY DICTIONARY.\n")
    said = subprocess.run(
        ["pspp", "look.sps"], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "DLR-double-fast (DLR_DF)" in said
    script = 'x <- haven::read_sav("ratings_long.sav"); cat(names(attr(x$arm, "labels")), nrow(x))'
    said = subprocess.run(
        ["Rscript", "-e", script], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "DLR-double-fast (DLR_DF)" in said
    assert said.endswith(" 900")
