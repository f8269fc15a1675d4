"""The platform's settings; the comparison's addresses stand beside the platform's own."""

from readerstudy.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.reading_site.dicom.urls"
