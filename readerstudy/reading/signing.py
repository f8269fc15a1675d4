"""The reader's signature under a finished score sheet.

It covers every answer of the session with all its revisions. A score that is changed afterwards, as
long as the study allows it, makes the signature one under an earlier state: it stays, and the
sheet asks for a new one.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.confirming import SignedForm
from readerstudy.accounts.errors import AccountError
from readerstudy.accounts.models import Signature, User
from readerstudy.accounts.signing import do_sign, sha256_of_record, signatures_of
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role

from . import selectors
from .errors import ReadingError
from .holding import hold_session
from .models import CommentRevision, Item, MarksRevision, ScoreRevision, Session

MEANING = "I read these cases myself and gave these scores"


def score_sheet(session: Session) -> dict[str, Any]:
    """Everything that the reader answered, by token: no arm, no volunteer."""
    of_session = {"item__session": session}
    scores = ScoreRevision.objects.filter(**of_session).order_by(
        "item__position", "criterion__position", "criterion_id", "revision"
    )
    comments = CommentRevision.objects.filter(**of_session).order_by("item__position", "revision")
    marks = MarksRevision.objects.filter(**of_session).order_by("item__position", "revision")
    return {
        "session": session.token,
        "reader": session.reader_code,
        "occasion": session.occasion,
        "scores": [
            [
                *(one.item.token, one.criterion.code, one.revision, one.value, one.ranks),
                *(one.cannot_assess, one.reason, one.created_at.isoformat()),
            ]
            for one in scores.select_related("item", "criterion")
        ],
        "comments": [
            [one.item.token, one.revision, one.text, one.created_at.isoformat()]
            for one in comments.select_related("item")
        ],
        "marks": [
            [one.item.token, one.revision, one.marks, one.created_at.isoformat()]
            for one in marks.select_related("item")
        ],
    }


def sheet_sha256(session: Session) -> str:
    return sha256_of_record(score_sheet(session))


def standing_signature(session: Session) -> Signature | None:
    """The signature under the sheet as it is now; none if it was never signed, or changed since."""
    signatures = signatures_of(session)
    if not signatures or signatures[0].record_sha256 != sheet_sha256(session):
        return None
    return signatures[0]


@transaction.atomic
def do_sign_sheet(session: Session, actor: User, shown_sha256: str) -> Signature:
    """Sign what was shown. ReadingError if it is not finished or was changed meanwhile."""
    require_role(actor, session.study, Role.READER)
    hold_session(session)
    session = Session.objects.select_related("study").get(pk=session.pk)
    if session.reader_id != actor.pk:
        raise ReadingError("This is the score sheet of another reader.")
    if session.completed_at is None:
        raise ReadingError("Score all items first: the sheet is signed when it is complete.")
    if session.study.is_locked:
        raise ReadingError("The study is locked: nothing can be signed any more.")
    sha256 = sheet_sha256(session)
    if sha256 != shown_sha256:
        raise ReadingError(
            "A score was changed after this page was opened. Nothing was signed: look at the "
            "sheet again and sign it as it stands now."
        )
    standing = standing_signature(session)
    if standing is not None:
        return standing  # sent twice
    return do_sign(actor, session, sha256, MEANING, study_id=session.study_id)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, token: str) -> HttpResponse:
    """The finished sheet's numbers and hash, and the signature."""
    if not isinstance(request.user, User):
        raise Http404
    own = selectors.get_session(request.user, token)
    if own.completed_at is None:
        return redirect("reading_session", token)
    form = SignedForm(request.POST if request.method == "POST" else None, label_suffix="")
    status, fault = 200, ""
    if request.method == "POST":
        status = 422
        if form.is_signed(request):
            try:
                do_sign_sheet(own, request.user, request.POST.get("sha256", ""))
            except (ReadingError, AccountError) as error:
                fault, status = str(error), 409
            else:
                return redirect("reading_sign", token)
    sheet = score_sheet(own)
    counted = set(own.items.exclude(purpose=Item.Purpose.PRACTICE).values_list("token", flat=True))
    scores = [row for row in sheet["scores"] if row[0] in counted]
    context = {
        "session": selectors.session_summary(own),
        "form": form,
        "fault": fault,
        "meaning": MEANING,
        "sha256": sha256_of_record(sheet),
        "answers": len({(row[0], row[1]) for row in scores}),
        "changes": len({(row[0], row[1]) for row in scores if row[2] > 1}),
        "practice": len(sheet["scores"]) - len(scores),
        "standing": standing_signature(own),
        "earlier": signatures_of(own),
        "locked": own.study.is_locked,
    }
    return render(request, "reading/sign.html", context, status=status)
