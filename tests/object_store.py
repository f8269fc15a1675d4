"""A small real S3 server on loopback: it speaks the protocol and keeps its objects in memory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.postgresql import free_port

KEY, SECRET = "key", "secret"


@contextlib.contextmanager
def object_store() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process."""
    port = free_port()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "true"},
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "the S3 server did not start"
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def as_storage(address: str, bucket: str, **options: Any) -> dict[str, Any]:
    """The same as an entry of STORAGES."""
    return {
        "BACKEND": "readerstudy.web.object_storage.ObjectStorage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": address,
            "region_name": "us-east-1",
            "access_key": KEY,
            "secret_key": SECRET,
            **options,
        },
    }


def settings_of(address: str, bucket: str) -> dict[str, str]:
    """The environment of a site whose images lie there."""
    return {
        "S3_BUCKET": bucket,
        "S3_ENDPOINT": address,
        "S3_ACCESS_KEY": KEY,
        "S3_SECRET_KEY": SECRET,
    }
