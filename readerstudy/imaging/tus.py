"""Resumable uploads: tus 1.0.0, core protocol with creation and termination (https://tus.io).

An upload belongs to a study, and where that has sites to one of them; whoever coordinates it may
fill, see and cancel it. For anybody else it does not exist.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.studies.access import get_reach
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Site, Study

from . import uploads
from .errors import ImagingError
from .models import Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,termination"
CONTENT_TYPE = "application/offset+octet-stream"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def _tus(view: View[P]) -> View[P]:
    """Version negotiation, the headers of every answer, and refusals as short texts."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            response = _text(412, f"This server speaks tus {VERSION}.")
            response["Tus-Version"] = VERSION
        else:
            try:
                response = view(request, *args, **kwargs)
            except (ImagingError, StudyError) as error:
                response = _text(422, str(error))  # 409 would be asked again
            except uploads.OffsetConflict:
                response = _text(409, "The piece does not start where the last one ended.")
            except uploads.UploadBusy:
                response = _text(423, "Another request is sending the same file.")
            except UnreadablePostError:
                response = _text(400, "The connection broke; what had arrived is kept.")
            except OSError:
                response = _text(507, "The server's disk is full: tell its administrator.")
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


def _text(status: int, message: str) -> HttpResponse:
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")


@require_http_methods(["OPTIONS", "POST"])
@_tus
def collection(request: HttpRequest, slug: str) -> HttpResponse:
    """Where uploads are created."""
    reach = get_reach(request.user, slug)
    study = reach.study
    if request.method == "OPTIONS":
        response = HttpResponse(status=204)
        response["Tus-Version"] = VERSION
        response["Tus-Extension"] = EXTENSIONS
        response["Tus-Max-Size"] = str(settings.UPLOAD_MAX_TOTAL_BYTES)
        return response
    size = _number(request, "Upload-Length")
    if size is None:
        return _text(400, "The header Upload-Length is missing or not a number.")
    if size > settings.UPLOAD_MAX_TOTAL_BYTES:
        return _text(413, "The file is larger than this server takes.")
    try:
        metadata = _metadata(request.headers.get("Upload-Metadata", ""))
        batch = uuid.UUID(metadata.get("batch", ""))
        own_id = uuid.UUID(metadata["id"]) if "id" in metadata else None
    except ValueError:
        return _text(400, "The header Upload-Metadata cannot be read.")
    upload = uploads.do_create_upload(
        study,
        cast(User, request.user),
        name=metadata.get("filename", ""),
        size=size,
        batch=batch,
        volunteer=metadata.get("volunteer", "").strip(),
        arm=named_arm(study, metadata.get("arm", "").strip()),
        site=reach.site or named_site(study, metadata.get("site", "").strip()),
        upload_id=own_id,
    )
    response = HttpResponse(status=201)
    response["Location"] = reverse("upload_tus_file", args=[study.slug, upload.pk])
    return response


@require_http_methods(["HEAD", "PATCH", "DELETE"])
@_tus
def file(request: HttpRequest, slug: str, upload_id: uuid.UUID) -> HttpResponse:
    """One upload: how far it is, its next piece, its end."""
    reach = get_reach(request.user, slug)
    upload = Upload.objects.filter(study=reach.study, pk=upload_id, **reach.within()).first()
    if upload is None:
        raise Http404("No such upload.")
    if request.method == "DELETE":
        uploads.do_cancel_upload(upload, cast(User, request.user))
        return HttpResponse(status=204)
    if upload.state == Upload.State.CANCELLED:
        return _text(410, "This upload was cancelled.")
    if request.method == "HEAD":
        response = HttpResponse(status=200)
        response["Upload-Offset"] = str(upload.received)
        response["Upload-Length"] = str(upload.size)
        return response
    if request.content_type != CONTENT_TYPE:
        return _text(415, f"A piece is sent as {CONTENT_TYPE}.")
    offset = _number(request, "Upload-Offset")
    if offset is None:
        return _text(400, "The header Upload-Offset is missing or not a number.")
    # A request is read as it comes: pieces may be larger than what Django would keep in memory.
    received = uploads.do_receive(upload, offset, cast(Any, request))
    response = HttpResponse(status=204)
    response["Upload-Offset"] = str(received)
    return response


def _number(request: HttpRequest, header: str) -> int | None:
    text = request.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _metadata(header: str) -> dict[str, str]:
    """`name base64, name base64`; raises ValueError."""
    metadata = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            metadata[name] = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(name) from error
    return metadata


def named_arm(study: Study, code: str) -> Arm | None:
    if not code:
        return None
    arm = study.arms.filter(code__iexact=code).first()
    if arm is None:
        raise ImagingError("There is no such arm in this study.")
    return arm


def named_site(study: Study, code: str) -> Site | None:
    """What a coordinator of the whole study chose; a site coordinator's is their own."""
    if not code:
        return None
    site = study.sites.filter(code__iexact=code).first()
    if site is None:
        raise ImagingError("There is no such site in this study.")
    return site
