"""What the settings read from the environment.

What cannot be is told by the variable's name, with what to write: a word that is merely taken for
"no" would leave a site without HTTPS, and a number that is none would be a trace, or be found out
by people days later. A variable that is left empty, as in a file of settings to fill in, is its
default: none is switched off by saying nothing. No sentence quotes an address: passwords stand in
them.
"""

from __future__ import annotations

import math
import os
import zoneinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

YES = ("true", "on", "yes", "y", "ok", "1")
NO = ("false", "off", "no", "n", "0")
DATABASES = ("postgres://", "postgresql://", "psql://", "pgsql://", "sqlite://")
BROKERS = ("amqp://", "amqps://", "pyamqp://", "redis://", "rediss://")
NOBODY = "nobody"
LEVELS = ("NOTSET", "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL")
ENCODED = (
    "in a name or password, characters such as / ? # @ : stand percent-encoded "
    "(%2F %3F %23 %40 %3A)."
)


class Environment(environ.Env):
    """One reader for each kind of value. `str` is the library's own."""

    def text(self, name: str, default: str = "") -> str:
        return str(self.str(name, default="")).strip() or default

    def yes_or_no(self, name: str, default: bool) -> bool:
        written = self.text(name).lower()
        if written and written not in YES + NO:
            raise ImproperlyConfigured(f"{name} is {written!r}; it can be true or false.")
        return written in YES if written else default

    def whole(self, name: str, default: int, least: int = 1) -> int:
        written = self.text(name)
        try:
            number = int(written or default)
        except ValueError:
            number = least - 1
        if number < least:
            raise ImproperlyConfigured(
                f"{name} is {written!r}; it has to be a whole number, {least} or more, in digits "
                "and without a unit."
            )
        return number

    def number(self, name: str, default: float, may_be_none: bool = False) -> float:
        """More than 0, or 0 as well."""
        written = self.text(name)
        try:
            number = float(written or default)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and (number > 0 or (may_be_none and number == 0))):
            raise ImproperlyConfigured(
                f"{name} is {written!r}; it has to be a number, "
                f"{'0 or more' if may_be_none else 'more than 0'}, with a point for decimals and "
                "without a unit."
            )
        return number

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        written = self.text(name, default)
        if written not in allowed:
            said = ", ".join(allowed[:-1]) + f" or {allowed[-1]}"
            raise ImproperlyConfigured(f"{name} is {written!r}; it can be {said}.")
        return written

    def listed(self, name: str, default: list[str]) -> list[str]:
        """Words separated by commas."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()] or default

    def some_of(self, name: str, allowed: tuple[str, ...], default: list[str]) -> list[str]:
        """Some of these words, or the word for none of them, which stands alone."""
        written = self.listed(name, default)
        if written == [NOBODY]:
            return []
        if not set(written) <= set(allowed):
            raise ImproperlyConfigured(
                f"{name} is {','.join(written)!r}; it lists {', '.join(allowed[:-1])} or "
                f"{allowed[-1]}, separated by commas, or says {NOBODY}."
            )
        return written

    def web_address(self, name: str, default: str) -> str:
        """Where a site answers, with its scheme."""
        written = self.text(name, default)
        if written and not _is_web_address(written):
            raise ImproperlyConfigured(
                f"{name} is no address that can be used: write it whole, such as "
                "https://host.example.org or http://host:8000."
            )
        return written

    def database(self, name: str, default: str) -> dict[str, Any]:
        written = self.text(name, default)
        if not written.lower().startswith(DATABASES):
            # Said before it is taken apart: what reads it would print it, with its password.
            raise ImproperlyConfigured(
                f"{name} names no database that can be used: it begins with postgres:// or "
                "sqlite:///."
            )
        try:
            return dict(self.db_url_config(written))
        except ValueError:
            raise ImproperlyConfigured(f"{name} cannot be read: {ENCODED}") from None

    def mail(self, name: str, default: str) -> dict[str, Any]:
        try:
            found = dict(self.email_url_config(self.text(name, default)))
        except (ImproperlyConfigured, ValueError):
            found = {}
        is_smtp = str(found.get("EMAIL_BACKEND")).endswith("smtp.EmailBackend")
        if not found or (is_smtp and not found["EMAIL_HOST"]):
            raise ImproperlyConfigured(
                f"{name} names no way to send mail: it is smtp+tls://user:password@host:port, or "
                "begins with smtp+ssl:// or smtp://, or is filemail:/// or consolemail://; "
                f"{ENCODED}"
            )
        return found

    def broker(self, name: str, default: str) -> str:
        written = self.text(name, default)
        if not written.startswith(BROKERS):
            raise ImproperlyConfigured(
                f"{name} names no broker that can be used: it begins with amqp://, amqps://, "
                "redis:// or rediss://."
            )
        if ";" in written:
            # The client library takes it for several, and the certificates of all of them would be
            # held against the name of the first.
            raise ImproperlyConfigured(
                f"{name} holds a semicolon, which would part several addresses: it is the address "
                "of one broker. In a name or password a semicolon is written %3B."
            )
        return written

    def readable_file(self, name: str) -> str:
        written = self.text(name)
        if written and not (Path(written).is_file() and os.access(written, os.R_OK)):
            raise ImproperlyConfigured(
                f"{name} is {written!r}, which is no file that this user can read."
            )
        return written

    def time_zone(self, name: str, default: str) -> str:
        written = self.text(name, default)
        try:
            zoneinfo.ZoneInfo(written)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ImproperlyConfigured(
                f"{name} is {written!r}; it has to be a name of the time zone database, such as "
                f"{_zone_like(written)}."
            ) from None
        return written


def read_file(path: Path) -> None:
    """Settings from a file, if there is one; what the environment says already stays."""
    if not os.path.lexists(path):
        return
    if not os.access(path, os.R_OK):
        # Passed over, it would have a command act on a new SQLite file.
        raise ImproperlyConfigured(
            f"{path} cannot be read by this user. It holds the settings: type commands as the user "
            "of the services (sudo -u readerstudy …), to whom the file has to belong."
        )
    Environment.read_env(path)


def _is_web_address(written: str) -> bool:
    try:
        parts = urlsplit(written)
        _ = parts.port  # ValueError where it is none
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and " " not in written


def _zone_like(written: str) -> str:
    """Berlin is in Europe/Berlin."""
    ending = "/" + written.replace(" ", "_").lower()
    known = sorted(zoneinfo.available_timezones())
    return next((name for name in known if name.lower().endswith(ending)), "Europe/Berlin")
