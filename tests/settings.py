"""The platform's settings with a temporary home: no test touches a real database or storage.

TEST_DATABASE_URL runs the suite on another database than a SQLite file.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="readerstudy-tests-")
_owner = os.getpid()


def _remove_home() -> None:
    if os.getpid() == _owner:  # a forked child leaves its parent's folder alone
        shutil.rmtree(_home, ignore_errors=True)


atexit.register(_remove_home)
os.environ["READERSTUDY_VAR"] = _home
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", f"sqlite:///{_home}/db.sqlite3")
os.environ["EMAIL_URL"] = "memorymail://"
# Playwright keeps an event loop in the process that drives it; the tests beside it are synchronous.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
for _name in ("HTTPS", "DEBUG", "BEHIND_PROXY"):
    os.environ[_name] = "false"

from readerstudy import environment  # noqa: E402

# A .env of this checkout is the site's of whoever works here: its bucket, its mail server.
_read_file, environment.read_file = environment.read_file, lambda path: None

from readerstudy.settings import *  # noqa: E402, F403
from readerstudy.settings import DATABASES, STORAGES  # noqa: E402

environment.read_file = _read_file

# A file, not memory: threads, a live server and worker processes see one database.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": f"{_home}/test.sqlite3"}
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
os.makedirs(f"{_home}/static", exist_ok=True)  # WhiteNoise warns where it finds none
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ADMIN_SECOND_FACTOR = False  # tests/accounts shows what it does
JOB_RETRY_SECONDS = 0.0
JOB_POLL_SECONDS = 0.1
