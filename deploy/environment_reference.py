"""Write deploy/environment: every variable that the settings read, with its default and meaning.

    python deploy/environment_reference.py [--check]

Names come from readerstudy/settings.py, meanings from the table in docs/deployment.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "environment"
HEAD = """\
# Settings of ReaderStudy, read by web and workers alike. Generated from the settings by
# deploy/environment_reference.py. Copy it to /etc/readerstudy/environment, readable by the user of
# the services alone, fill in what stands empty, put your own for PASSWORD and example.org, and take
# away the # of what you set. A key:
# python -c "import secrets; print(secrets.token_urlsafe(48))". Until SECRET_KEY and EMAIL_URL
# are set, manage.py check --deploy says so (web.W001, web.W003).
"""
# What a hospital's site sets: with these, and what belongs in those that are empty, `manage.py
# check --deploy` finds nothing (web.W001 asks for the first, web.W003 for EMAIL_URL).
SET = {
    "SECRET_KEY": "",
    "DEIDENTIFICATION_KEY": "",
    "DATABASE_URL": "postgres://readerstudy:PASSWORD@database/readerstudy",
    "SITE_URL": "https://readerstudy.example.org",
    "ALLOWED_HOSTS": "readerstudy.example.org",
    "CSRF_TRUSTED_ORIGINS": "https://readerstudy.example.org",
    "HTTPS": "true",
    "BEHIND_PROXY": "true",
    "LOG_FORMAT": "json",
    "EMAIL_URL": "",
    "DEFAULT_FROM_EMAIL": "readerstudy@example.org",
    "READERSTUDY_VAR": "/var/lib/readerstudy",
}


def reference() -> str:
    settings = (ROOT / "readerstudy" / "settings.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    meanings = {name: (default, meaning) for name, default, meaning in rows}
    lines = [HEAD]
    names = dict.fromkeys(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", settings))
    for name in names:
        default, meaning = meanings[name]
        lines.append(f"# {meaning.replace('`', '')} (default: {default.replace('`', '')})")
        lines.append(f"{name}={SET[name]}" if name in SET else f"# {name}=")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    if "--check" in sys.argv:
        if TARGET.read_text(encoding="utf-8") == reference():
            return 0
        print("deploy/environment is not current: run python deploy/environment_reference.py")
        return 1
    TARGET.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
