"""A whole site for a browser: web and worker as real processes on the platform's own settings.

On SQLite and local files, or spread out as a hospital's is (`spread_site`): PostgreSQL, RabbitMQ,
an object store, two web processes.
"""

from __future__ import annotations

import contextlib
import io
import socket
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from denoise_engine.simulation import simulate_acquisition
from readerstudy.demo.scans import volunteer_zip
from readerstudy.demo.sources import load_sources
from tests.jobs.site import Site, wait_for
from tests.object_store import object_store, settings_of
from tests.postgresql import create_database
from tests.rabbitmq import broker

PASSWORD = "a long enough pass phrase"
PROTOCOLS = {"STD": "standard", "DF": "double-fast", "TF": "triple-fast"}


class WholeSite(Site):
    """Settings as a user has them; only the place of the data differs."""

    address = ""
    web_processes = 1
    store: Mapping[str, str] = MappingProxyType({})  # where images lie, if not in a folder

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            "JOB_LEASE_SECONDS": "15",
            **self.store,
        }

    def serve(self) -> None:
        self.manage("collectstatic", "--noinput", "--verbosity=0")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.start(
            *("-m", "gunicorn", "readerstudy.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "4"),
            *("--workers", str(self.web_processes)),
        )
        wait_for(self._answers, "the web process to answer")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/accounts/login/", timeout=5)  # noqa: S310
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False
        return True


@contextlib.contextmanager
def serving_site(home: Path, site: WholeSite | None = None) -> Iterator[WholeSite]:
    site = site or WholeSite(home, f"sqlite:///{home}/site.sqlite3")
    site.manage("migrate", "--verbosity=0", "--skip-checks")
    try:
        site.serve()
        yield site
    finally:
        site.stop()


@contextlib.contextmanager
def spread_site(home: Path, postgresql_address: str) -> Iterator[WholeSite]:
    """The same on the parts that operators run, by configuration alone."""
    url = create_database(postgresql_address, f"whole_{uuid.uuid4().hex}")
    with broker() as messages, object_store() as (store, _):
        site = WholeSite(home, url, broker_url=messages.url)
        site.store = settings_of(store, "images")
        site.web_processes = 2
        site.python(
            "from django.core.files.storage import default_storage\n"
            "default_storage.connection.create_bucket(Bucket='images')"
        )
        with serving_site(home, site) as serving:
            yield serving


def scans_zip(volunteers: int, *, size: int = 128, slices: int = 2) -> bytes:
    """Real lumbar images, cropped for speed, as a coordinator's one zip: V01/STD/0001.dcm …"""
    merged = io.BytesIO()
    with zipfile.ZipFile(merged, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, source in enumerate(load_sources()[:volunteers]):
            crop = np.ascontiguousarray(
                source.volume[2 : 2 + slices, 200 : 200 + size, 130 : 130 + size]
            )
            volumes = {
                code: simulate_acquisition(
                    crop,
                    protocol=protocol,  # type: ignore[arg-type]
                    snr=source.snr,
                    seed=source.seed,
                ).volume
                for code, protocol in PROTOCOLS.items()
            }
            part = volunteer_zip(
                volumes,
                volunteer_code=source.code,
                volunteer_index=index,
                spacing_mm=source.spacing_mm,
            )
            with zipfile.ZipFile(io.BytesIO(part)) as one:
                for name in one.namelist():
                    archive.writestr(name, one.read(name))
    return merged.getvalue()
