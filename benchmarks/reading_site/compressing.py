"""Settings of the control run: the platform's, with compression switched on."""

from readerstudy.settings import *  # noqa: F403
from readerstudy.settings import MIDDLEWARE

MIDDLEWARE = ["tests.blinding.compression.CompressingMiddleware", *MIDDLEWARE]
