"""The demo, on two small volunteers: the whole of its way, by real processes."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from readerstudy.demo.scans import INVENTED_PEOPLE
from tests.jobs.site import ROOT, Site, wait_for

pytestmark = pytest.mark.slow

BUILD = """
import dataclasses
from readerstudy.demo.build import build_demo
from readerstudy.demo.people import make_people
from readerstudy.demo.sources import load_sources
small = [
    dataclasses.replace(s, volume=s.volume[2:4, 200:296, 130:226].copy(), regions={})
    for s in load_sources()[:2]
]
users, passwords = make_people()
studies = build_demo(users, say=lambda text: None, sources=small, heads=[])
"""


class DemoSite(Site):
    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "DJANGO_SETTINGS_MODULE": "readerstudy.settings"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    home = tmp_path_factory.mktemp("demo")
    site = DemoSite(home, f"sqlite:///{home}/demo.sqlite3")
    site.manage("migrate", "--verbosity=0")
    site.python(BUILD)
    yield site
    site.stop()


def test_every_arm_of_every_volunteer_is_ready_and_the_study_is_being_read(site: Site) -> None:
    printed = site.python(
        "from readerstudy.imaging.models import Series\n"
        "from readerstudy.studies.models import Study\n"
        "study = Study.objects.get(slug='lumbar-dlr-validation')\n"
        "print(study.state, Series.objects.filter(volunteer__study=study).count())\n"
        "print(study.sessions.count(), 'imulated' in study.notice)\n"
        "items = study.sessions.first().items\n"
        "print(items.count(), [item.purpose for item in items.all()[:3]])"
    )
    assert printed.split(maxsplit=5) == [
        "reading", "10", "3", "True", "12", "['practice', 'practice', 'primary']",
    ]  # fmt: skip


def test_derived_arms_reach_the_target_gain_and_say_so(site: Site) -> None:
    printed = site.python(
        "from readerstudy.imaging.models import Series\n"
        "for s in Series.objects.filter(arm__kind='derived'):\n"
        "    print(s.provenance['achieved_gain'])"
    )
    gains = [float(line) for line in printed.splitlines()]
    assert len(gains) == 4
    assert all(gain == pytest.approx(1.7, abs=0.1) for gain in gains)


def test_the_published_study_is_complete_and_locked(site: Site) -> None:
    printed = site.python(
        "from readerstudy.measurements.models import Measurement\n"
        "from readerstudy.reading.models import ScoreRevision\n"
        "from readerstudy.studies.models import Study\n"
        "study = Study.objects.get(slug='published-tables')\n"
        "print(study.state)\n"
        "print(ScoreRevision.objects.filter(item__session__study=study).count())\n"
        "print(Measurement.objects.filter(volunteer__study=study).count())"
    )
    assert printed.split() == ["locked", str(10 * 5 * 3 * 6), str(10 * 5 * 7)]


def test_no_planted_identifier_is_left_anywhere(site: Site) -> None:
    planted = {part.encode() for person in INVENTED_PEOPLE for part in person[0].split("^")}
    planted |= {person[1].encode() for person in INVENTED_PEOPLE}
    planted |= {b"Musterstadt", b"Beispiel", b"MRDEMO1", b"Demo^Operator", b"ACC00001"}
    files = [path for path in Path(site.home).rglob("*") if path.is_file()]
    assert any(path.suffix == ".dcm" for path in files)
    # Three or four letters in a row turn up by chance in the keys and hashes of a database: a short
    # name must stand alone to count.
    patterns = {
        text: re.compile(
            re.escape(text)
            if len(text) > 4
            else rb"(?<![\w+/=-])" + re.escape(text) + rb"(?![\w+/=-])"
        )
        for text in planted
    }
    found = []
    for path in files:
        content = path.read_bytes()
        found += [(path.name, text) for text, name in patterns.items() if name.search(content)]
    assert found == []


def test_run_again_it_changes_nothing(site: Site) -> None:
    count = "from readerstudy.audit.models import Event\nprint(Event.objects.count())\n"
    before = site.python(count)
    site.python(BUILD)
    assert site.python(count) == before


def test_the_trail_is_sound(site: Site) -> None:
    assert "is sound" in site.manage("verify_audit")


def test_stopped_while_it_is_made_it_takes_its_worker_along_and_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    """By SIGTERM; SIGINT, which takes the same way, is ignored by what a shell started aside."""
    site = DemoSite(tmp_path, f"sqlite:///{tmp_path}/demo.sqlite3")
    site.manage("migrate", "--verbosity=0")
    demo = site.start(str(ROOT / "manage.py"), "demo")
    log = tmp_path / "var" / "worker.log"
    try:
        wait_for(lambda: log.exists() and b"worker started" in log.read_bytes(), "its worker", 180)
        worker = int(Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()[0])
        demo.signal(signal.SIGTERM)
        assert demo.popen.wait(timeout=120) == 130
    finally:
        site.stop()
    assert not Path(f"/proc/{worker}").exists()
    said = demo.output()
    assert "the first time six minutes" in said
    assert "make demo goes on from here" in said
    assert "Traceback" not in said
