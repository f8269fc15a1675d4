"""The same Chromium as the front end's tests."""

from tests.frontend.conftest import chromium, front_end  # noqa: F401
