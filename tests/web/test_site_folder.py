"""What a site keeps on its host is closed to the host's other users."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from readerstudy.site_folder import is_open_to_others, made
from readerstudy.web.checks import check_folders

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = Path("/nowhere/var")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _folder(path: Path, mode: int, *within: str) -> Path:
    path.mkdir()
    for name in within:
        (path / name).touch()
    path.chmod(mode)
    return path


def test_a_site_that_was_open_is_closed_by_any_command(tmp_path: Path) -> None:
    """Whatever the umask of the shell is; the group may have been let in on purpose."""
    old = _folder(tmp_path / "old", 0o755, "readerstudy.sqlite3", "secret_key")
    for folder in (old, tmp_path / "new"):
        subprocess.run(
            [sys.executable, ROOT / "manage.py", "version"],
            env={
                "PATH": os.environ["PATH"],
                "READERSTUDY_VAR": str(folder),
                "SECRET_KEY": "a key for this test alone",
            },
            umask=0o022,
            capture_output=True,
            check=True,
        )
    assert _mode(old) == 0o750
    assert _mode(tmp_path / "new") == 0o700


@pytest.mark.parametrize(
    ("mode", "within", "closed"),
    [
        (0o755, ("readerstudy.sqlite3", ".cache"), 0o750),
        (0o2775, ("storage", "uploads"), 0o2770),
        (0o770, ("storage",), 0o770),
        (0o1777, ("storage",), 0o1777),  # shared, as /tmp
        (0o755, ("storage", "website"), 0o755),  # other uses: only told
    ],
)
def test_only_a_folder_of_the_platform_alone_is_closed(
    tmp_path: Path, mode: int, within: tuple[str, ...], closed: int
) -> None:
    folder = _folder(tmp_path / "var", mode, *within)
    assert made("READERSTUDY_VAR", folder, ELSEWHERE) == folder
    assert _mode(folder) == closed


def test_the_default_folder_is_closed_whatever_lies_in_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "var", 0o755, "readerstudy.sqlite3", "backup.tar.gz")
    made("READERSTUDY_VAR", folder, folder)
    assert _mode(folder) == 0o750


def test_a_folder_that_cannot_be_is_told_by_the_variables_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "var"):
        with pytest.raises(ImproperlyConfigured, match=r"READERSTUDY_VAR is .*file"):
            made("READERSTUDY_VAR", folder, ELSEWHERE)


def test_the_deployment_check_names_what_others_can_open(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = _folder(tmp_path / "share", 0o755)
    assert not is_open_to_others(share)  # pytest's own folder around it lets nobody in
    assert not is_open_to_others(tmp_path / "missing")
    monkeypatch.setattr(
        "readerstudy.web.checks.is_open_to_others",
        lambda folder: bool(folder.exists() and _mode(folder) & 0o007),
    )
    settings.VAR_DIR = _folder(tmp_path / "var", 0o700)
    settings.UPLOAD_ROOT = _folder(settings.VAR_DIR / "uploads", 0o755)
    settings.MEDIA_ROOT = share
    (told,) = check_folders()
    assert told.id == "web.W002"
    assert "STORAGE_DIR" in told.msg
    assert str(share) in told.msg
    share.chmod(0o750)
    assert check_folders() == []


def test_units_write_for_their_own_user_alone() -> None:
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        assert "\nUMask=0077\n" in unit.read_text(encoding="utf-8"), unit.name
