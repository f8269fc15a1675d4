"""The WSGI entry point (gunicorn readerstudy.wsgi)."""

import logging
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from readerstudy.web.logs import ForeignLines

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "readerstudy.settings")
application = get_wsgi_application()
# All is loaded before the first request comes: a process that was started again would take requests
# and keep them waiting for seconds while the one beside it is ready. What cannot be loaded ends it.
_ = get_resolver().url_patterns
# Not before: why the site cannot be loaded is to stand in the log as it is.
for _name in ("gunicorn.access", "gunicorn.error"):
    logging.getLogger(_name).addFilter(ForeignLines())
