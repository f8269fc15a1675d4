"""Exit 0 if the web process of this container answers: its health check, under the site's name."""

from __future__ import annotations

import http.client
import os
import sys

if __name__ == "__main__":
    host = (os.environ.get("ALLOWED_HOSTS") or "localhost").split(",")[0].strip()
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
    try:
        connection.request("GET", "/health", headers={"Host": host})
        sys.exit(0 if connection.getresponse().status == 200 else 1)
    except OSError:
        sys.exit(1)
