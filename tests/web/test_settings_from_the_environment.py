"""A setting that cannot be is refused by its name, with what to write. None passes for another."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "readerstudy" / "settings.py"
SOURCE = SETTINGS.read_text(encoding="utf-8")


def _read_by(reader: str) -> list[str]:
    found = re.findall(rf'env\.{reader}\(\s*"(\w+)"([^)]*)', SOURCE)
    assert found, reader
    return [name for name, _ in found]


NAMES = _read_by(r"\w+")
SWITCHES = _read_by("yes_or_no")
WHOLE = _read_by("whole")
NUMBERS = _read_by("number")
MAY_BE_0 = {"DATABASE_IDLE_SECONDS", "CONN_MAX_AGE", "JOB_RETRY_SECONDS"}
POSTGRES = "postgres://someone@database/readerstudy"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings as they are under an environment of these variables alone."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    # Nor those of a .env of this checkout, which would stay in the environment of later tests.
    monkeypatch.setattr("readerstudy.environment.read_file", lambda _: None)
    monkeypatch.setenv("READERSTUDY_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("SECRET_KEY", "a key for this test alone")
    monkeypatch.setenv("DATABASE_URL", POSTGRES)  # has settings of its own, read for it alone

    def read(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return read


@pytest.mark.parametrize("value", ["maybe", "ja", "2", "true;"])
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_true_or_false(site: Any, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        site(**{name: value})
    assert str(refused.value) == f"{name} is {value!r}; it can be true or false."


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_is_one_and_large_enough(site: Any, name: str) -> None:
    for value in ("many", "-3", "1.5", "64 MiB", *([] if name in MAY_BE_0 else ["0"])):
        with pytest.raises(ImproperlyConfigured, match=f"^{name} is '{value}'; .* whole number"):
            site(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_one_and_large_enough(site: Any, name: str) -> None:
    for value in ("soon", "-3", "nan", "inf", "0,5", *([] if name in MAY_BE_0 else ["0"])):
        with pytest.raises(ImproperlyConfigured, match=f"^{name} is '{value}'; .* number"):
            site(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SITE_URL", "hospital.example", "https://"),
        ("SITE_URL", "https://", "https://"),
        ("SITE_URL", "https://hospital.example:port", "https://"),
        ("S3_ENDPOINT", "minio:9000", "http://host:8000"),
        ("S3_ENDPOINT", "ftp://hidden@minio", "https://"),
        ("BROKER_URL", "localhost", "amqp://"),
        ("BROKER_URL", "http://someone:hidden@broker", "amqp://"),
        ("BROKER_URL", "amqps://someone:hidden@one;amqps://two", "one broker"),
        ("EMAIL_URL", "foo://bar", "smtp"),
        ("EMAIL_URL", "smtp://someone:hid/den@mail:25", "%2F"),
        ("EMAIL_URL", "smtp+tls://", "host"),
        ("EMAIL_URL", "mail.example:25", "smtp"),
        ("DATABASE_URL", "mysql://someone:hidden@database/a", "postgres://"),
        ("TIME_ZONE", "Berlin", "Europe/Berlin"),
        ("TIME_ZONE", "Europe", "Europe/Berlin"),
        ("TIME_ZONE", "../etc/passwd", "Europe/Berlin"),
        ("LOG_LEVEL", "loud", "INFO"),
        ("LOG_FORMAT", "xml", "plain or json"),
        ("TASKS", "redis", "polling or celery"),
        ("READERSTUDY_VAR", "/proc/x", "may write to"),
        ("SECOND_FACTOR_FOR", "everybody", "administrators"),
        ("SECOND_FACTOR_FOR", "readers,nobody", "says nobody"),
        ("OIDC_SERVER", "http://hospital.example", "https://"),
    ],
)
def test_what_cannot_be_is_told_by_its_name_and_what_to_write(
    site: Any, name: str, value: str, said: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        site(**{name: value})
    sentence = str(refused.value)
    assert sentence.startswith(f"{name} ")
    assert said in sentence
    assert "hid" not in sentence  # no password is printed


def test_a_variable_that_is_left_empty_is_its_default(site: Any) -> None:
    """On a site with HTTPS, where more hangs on it."""
    set_here = {"READERSTUDY_VAR", "SECRET_KEY", "DATABASE_URL", "HTTPS"}
    plain = site(HTTPS="true")
    empty = site(**dict.fromkeys(set(NAMES) - set_here, ""))
    told = [name for name, value in plain.items() if name.isupper() and value != empty[name]]
    assert told == []
    assert empty["SECOND_FACTOR_FOR"] == ["administrators", "coordinators", "statisticians"]
    assert "localhost" in empty["ALLOWED_HOSTS"]


def test_the_second_factor_is_switched_off_by_a_word_alone(site: Any) -> None:
    assert site(HTTPS="true", SECOND_FACTOR_FOR="nobody")["SECOND_FACTOR_FOR"] == []
    found = site(SECOND_FACTOR_FOR="readers, coordinators,")
    assert found["SECOND_FACTOR_FOR"] == ["readers", "coordinators"]
    assert site(HTTPS="false", SECOND_FACTOR_FOR="")["SECOND_FACTOR_FOR"] == []


def test_what_is_right_is_taken(site: Any) -> None:
    found = site(
        HTTPS="YES ", ADMIN_SECOND_FACTOR="off", SESSION_HOURS="8", LOCKOUT_HOURS="0.5",
        CONN_MAX_AGE="0", JOB_RETRY_SECONDS="0", SITE_URL="http://host:8378", LOG_LEVEL="WARN",
        EMAIL_URL="smtp+tls://someone:p%2Fw@mail:587", TIME_ZONE="Europe/Berlin",
    )  # fmt: skip
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["ADMIN_SECOND_FACTOR"] is False
    assert found["SESSION_COOKIE_AGE"] == 8 * 3600
    assert found["AXES_COOLOFF_TIME"] == 0.5
    assert found["DATABASES"]["default"]["CONN_MAX_AGE"] == found["JOB_RETRY_SECONDS"] == 0
    assert found["SITE_URL"] == "http://host:8378"
    assert (found["EMAIL_HOST"], found["EMAIL_HOST_PASSWORD"]) == ("mail", "p/w")
    assert found["TIME_ZONE"] == "Europe/Berlin"


def test_a_key_that_cannot_be_read_is_told(site: Any, tmp_path: Path) -> None:
    (tmp_path / "var" / "secret_key").mkdir(parents=True)  # root may read every file
    with pytest.raises(ImproperlyConfigured, match="user of the services"):
        site(SECRET_KEY="")


def test_the_command_line_says_it_in_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "worker", "--once"],
        env={"PATH": os.environ["PATH"], "READERSTUDY_VAR": str(tmp_path), "HTTPS": "maybe"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "HTTPS is 'maybe'; it can be true or false.\n"
