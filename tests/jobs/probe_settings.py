"""Settings of the processes that tests/jobs starts: the platform's own, and the probe task."""

from readerstudy.settings import *  # noqa: F403
from readerstudy.settings import INSTALLED_APPS as PLATFORM_APPS
from readerstudy.settings import STORAGES

INSTALLED_APPS = [*PLATFORM_APPS, "tests.jobs.probe"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
