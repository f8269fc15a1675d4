"""Mail to readers, each with the link to their own session.

The link opens nothing by itself: whoever follows it signs in first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.reading.models import Session
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import lock_study

from .dashboard import MAILED, open_sessions

SUBJECT_LENGTH = 120
TEXT_LENGTH = 2000


@dataclass
class MailReport:
    sent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # reader codes, with why


def session_link(session: Session) -> str:
    return settings.SITE_URL.rstrip("/") + reverse("reading_session", args=[session.token])


def check_mail(
    study: Study, actor: User | None, sessions: Sequence[Session], subject: str, text: str
) -> None:
    require_role(actor, study, Role.COORDINATOR)
    if study.state != Study.State.READING:
        raise StudyError("Readers can be written to while the reading is open.")
    if not sessions:
        raise StudyError("Choose at least one reader who has items left.")
    if not subject or len(subject) > SUBJECT_LENGTH or "\n" in subject or "\r" in subject:
        raise StudyError(f"Give a subject of one line, up to {SUBJECT_LENGTH} characters.")
    if not text or len(text) > TEXT_LENGTH:
        raise StudyError(f"Write a text of up to {TEXT_LENGTH} characters.")


def do_mail_readers(
    study: Study, actor: User | None, session_ids: Sequence[int], subject: str, text: str
) -> MailReport:
    """Write to the readers of those sessions. One that cannot be sent does not stop the others."""
    subject, text = subject.strip(), text.strip()
    sessions = [s for s in open_sessions(study) if s.pk in set(session_ids)]
    check_mail(study, actor, sessions, subject, text)
    report = MailReport()
    for session in sessions:
        reader = session.reader
        if reader is None:
            continue
        if not reader.is_active:
            report.failed.append(f"{session.reader_code} has not accepted the invitation yet")
            continue
        body = render_to_string(
            "conduct/reader_mail.txt",
            {
                "reader": reader,
                "study": study,
                "text": text,
                "link": session_link(session),
                "sender": actor,
            },
        )
        try:
            send_mail(subject, body, None, [reader.email])
        except (SMTPException, OSError) as error:
            report.failed.append(
                f"{session.reader_code}: the mail server did not take it ({type(error).__name__})"
            )
            continue
        report.sent.append(session.reader_code)
        _record_sent(study, session, actor, subject)
    return report


@transaction.atomic
def _record_sent(study: Study, session: Session, actor: User | None, subject: str) -> None:
    lock_study(study)
    record(
        MAILED,
        actor,
        study_id=study.pk,
        subject=session,
        new={
            "reader": session.reader_code,
            "occasion": session.occasion,
            "title": subject,
        },
    )
