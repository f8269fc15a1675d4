"""What the bundle is, under which plan, over which data, made by which software."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from readerstudy import __version__
from readerstudy.reports.models import Unblinding
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

FORMAT = "readerstudy bundle 2"
_PACKAGES = (
    *("numpy", "scipy", "pandas", "statsmodels", "matplotlib"),
    *("pyreadstat", "XlsxWriter", "python-docx"),
)


def manifest(study: Study, report: Report, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Times and the trail's head are those of lock and unblinding, never of the export."""
    unblinding = Unblinding.objects.filter(study=study).first()
    return {
        "format": FORMAT,
        "study": report.slug,
        "title": report.title,
        "notice": report.notice,
        "credits": report.credits,
        "arms": "letters" if report.is_masked else "names",
        "plan_version": report.plan_version,
        "plan_signed_at": report.signing.signed_at.isoformat() if report.signing else None,
        "plan_signed": report.signing.moment if report.signing else "not signed",
        "post_hoc": report.post_hoc,
        "amended_after_lock": report.amended,
        "plan_sha256": report.plan_sha256,
        "data_sha256": report.data_sha256,
        "locked_at": study.locked_at.isoformat() if study.locked_at else None,
        "unblinded_at": study.unblinded_at.isoformat() if study.unblinded_at else None,
        "unblinding_reason": unblinding.reason if unblinding else None,
        "audit_head": unblinding.audit_head if unblinding else None,
        "software": {
            "python": platform.python_version(),
            "readerstudy": __version__,
            **{name: version(name) for name in _PACKAGES},
        },
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
    }
