"""The deployment page names every variable that the settings read, and no other."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class

from readerstudy.environment import read_file

ROOT = Path(__file__).resolve().parents[2]


def test_every_variable_of_the_settings_is_explained_and_none_is_invented() -> None:
    settings = (ROOT / "readerstudy" / "settings.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", settings))
    explained = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert len(read) > 25
    assert explained == read


def test_what_is_left_empty_in_the_environments_file_is_the_default(tmp_path: Path) -> None:
    """As deploy/environment ships it: UIDs made with an empty key could be recomputed, and images
    and figures under an empty path would lie wherever the process was started."""
    left = dict.fromkeys(
        ("DEIDENTIFICATION_KEY", "STORAGE_DIR", "UPLOAD_DIR", "PROMETHEUS_MULTIPROC_DIR"), ""
    )
    environment = {**os.environ, "SECRET_KEY": "long and secret", "READERSTUDY_VAR": str(tmp_path)}
    told = (
        "from readerstudy import settings as s\n"
        "print(s.DEIDENTIFICATION_KEY, s.MEDIA_ROOT, s.UPLOAD_ROOT, sep='\\n')\n"
        "import os; print('PROMETHEUS_MULTIPROC_DIR' in os.environ)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", told],
        cwd=ROOT, env={**environment, **left}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert printed.split("\n")[:4] == [
        "long and secret", f"{tmp_path}/storage", f"{tmp_path}/uploads", "False",
    ]  # fmt: skip


def test_settings_that_cannot_be_read_are_not_passed_over(tmp_path: Path) -> None:
    read_file(tmp_path / "none")  # nothing is configured by a file
    settings = tmp_path / ".env"
    settings.symlink_to(tmp_path / "away")
    with pytest.raises(ImproperlyConfigured, match="sudo -u readerstudy"):
        read_file(settings)


def test_nothing_that_a_machine_keeps_for_itself_gets_into_the_image() -> None:
    """`COPY . .` takes what .dockerignore does not name; compose reads passwords in deploy/.env."""
    ignored = _matcher((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    own = (
        *(".env", "deploy/.env", "deploy/environment", "var/secret_key", "var/db.sqlite3-wal"),
        *("deploy/certificates/site.key", "denoise_engine/ddlr/_build/passes.so", ".git/config"),
        *(".venv/bin/python", "frontend/node_modules/a/b.js", "readerstudy/__pycache__/a.pyc"),
    )
    assert [path for path in own if not ignored(path)] == []
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {path for path in kept.stdout.splitlines() if ignored(path)} == {"deploy/environment"}
    for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split():
        path = line.strip("/").replace("*", "a").replace("[cod]", "c")
        assert ignored(path), line


def _matcher(patterns: str) -> Callable[[str], bool]:
    """Docker's rules: from the top unless a pattern begins with **/; a folder with all in it."""
    lines = [line for line in patterns.splitlines() if line and not line.startswith("#")]
    words = {"**/": "(?:.*/)?", "*": "[^/]*"}
    found = "|".join(
        "".join(
            words.get(part) or (part if part.startswith("[") else re.escape(part))
            for part in re.split(r"(\*\*/|\*|\[\w+\])", line)
        )
        for line in lines
    )
    rule = re.compile(rf"(?:{found})(?:/.*)?")
    return lambda path: rule.fullmatch(path) is not None


def test_every_command_of_the_ready_made_files_is_one_that_manage_py_takes() -> None:
    files = [*(ROOT / "deploy" / "systemd").iterdir(), ROOT / "deploy" / "compose.yml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    yaml.safe_load(files[-1].read_text(encoding="utf-8"))
    found = re.findall(r"python manage\.py (\w+)([^&\n\"]*)", text.replace("%i", "1"))
    assert {name for name, _ in found} == {
        "migrate", "collectstatic", "worker", "backup", "dicom_receiver",
    }  # fmt: skip
    apps = get_commands()
    for name, options in found:
        command = load_command_class(apps[name], name)
        command.create_parser("manage.py", name).parse_args(options.split())


def test_temporary_files_of_the_ready_made_services_lie_on_a_disk() -> None:
    """An export is a gigabyte, and /tmp of a container, or of a newer Debian, is memory."""
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text(encoding="utf-8"))
    own = {name: of for name, of in stack["services"].items() if of["image"] == "readerstudy"}
    assert {"prepare", "web", "worker-cpu", "worker-gpu", "backup"} == set(own)
    for name, of in own.items():
        folder = of["environment"]["TMPDIR"]
        assert f"temporary:{folder}" in of["volumes"], name
        assert not any(folder.startswith(memory) for memory in of["tmpfs"]), name
    assert "temporary" in stack["volumes"]
    # A new volume belongs to whom the folder of the image belongs to.
    image = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+)$", image, re.MULTILINE)
    assert f"-o {user} {folder}\n" in image
    for kind in ("web", "worker-cpu@", "worker-gpu@", "backup"):
        unit = ROOT / "deploy" / "systemd" / f"readerstudy-{kind}.service"
        assert "Environment=TMPDIR=/var/tmp\n" in unit.read_text(encoding="utf-8"), kind


def test_compose_hands_on_what_its_proxy_asks_for_and_has_a_place_for_backups() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text("utf-8"))["services"]
    caddy = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    assert set(re.findall(r"\{\$(\w+)\}", caddy)) == set(services["proxy"]["environment"])
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (certificates,) = {str(Path(path).parent) for path in re.findall(r"tls (/\S+) /", page)}
    assert f"./certificates:{certificates}:ro" in services["proxy"]["volumes"]
    backup = services["backup"]
    outside = [of["target"] for of in backup["volumes"] if isinstance(of, dict)]
    assert outside == [backup["command"].split()[-1]]
    assert backup["profiles"]  # not started with the others


def test_both_proxies_name_each_request_themselves() -> None:
    """What a caller sends as the id would stand in the log: the site believes its proxy."""
    nginx = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    passed_on = nginx.count("proxy_pass http")
    assert nginx.count("proxy_set_header X-Request-ID $request_id;") == passed_on > 0
    caddy = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    assert "header_up X-Request-ID {http.request.uuid}" in caddy.partition("reverse_proxy")[2]


def test_the_environment_to_start_from_is_current_and_passes_the_deployment_check(
    tmp_path: Path,
) -> None:
    """`check --deploy` under a hospital's settings: nothing to say, warnings included."""
    made = subprocess.run([sys.executable, ROOT / "deploy/environment_reference.py", "--check"])
    assert made.returncode == 0, "run python deploy/environment_reference.py"
    text = (ROOT / "deploy" / "environment").read_text(encoding="utf-8")
    profile = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    profile["SECRET_KEY"] = profile["DEIDENTIFICATION_KEY"] = secrets.token_urlsafe(48)
    profile["EMAIL_URL"] = "smtp+tls://someone:hidden@mail.example.org:587"
    profile["READERSTUDY_VAR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env={"PATH": os.environ["PATH"], **profile},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_key_that_each_host_would_make_for_itself_and_mails_for_the_console_are_told(
    tmp_path: Path,
) -> None:
    """Several hosts can share a PostgreSQL or a broker; SQLite has one."""
    text = (ROOT / "deploy" / "environment").read_text(encoding="utf-8")
    profile = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    profile |= {"READERSTUDY_VAR": str(tmp_path), "SECRET_KEY": ""}

    def said(**more: str) -> str:
        return subprocess.run(
            [sys.executable, ROOT / "manage.py", "check", "--deploy", "--tag", "security"],
            env={"PATH": os.environ["PATH"], **profile, **more},
            capture_output=True,
            text=True,
            check=False,
        ).stderr

    assert "web.W001" in said()
    assert "web.W001" in said(DATABASE_URL="", TASKS="celery")
    assert "web.W001" not in said(DATABASE_URL="")
    assert "web.W001" not in said(SECRET_KEY=secrets.token_urlsafe(48))
    # As shipped, neither has a mail server.
    assert "web.W003" in said()
    assert "web.W003" not in said(EMAIL_URL="smtp://mail.example.org:25")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", "mongo://someone:hidden@database/readerstudy"),
        ("DATABASE_URL", "postgres://someone:hid/den@database/readerstudy"),
        ("DATABASE_URL", "postgres"),
        ("BROKER_URL", "http://someone:hidden@broker/"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_being_printed(
    tmp_path: Path, name: str, address: str
) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check"],
        env={
            "PATH": os.environ["PATH"],
            "READERSTUDY_VAR": str(tmp_path),
            "TASKS": "celery",
            name: address,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert name in done.stderr
    assert "hid" not in done.stdout + done.stderr
