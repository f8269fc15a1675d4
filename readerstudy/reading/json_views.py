"""Views that take and give JSON: the body checked, refusals as sentences with a code."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_cache_control

from .errors import Malformed, ReadingError, TooManyRequests

MOST_BYTES = 64 * 1024
Answer = Mapping[str, Any]


def answers_json(view: Callable[..., Answer | HttpResponse]) -> Callable[..., HttpResponse]:
    """The view's answer as JSON; what it refuses as `{"error", "code", …}`.

    Signed out, it answers 401 in JSON too (`SignedInMiddleware`).
    """

    @wraps(view)
    def answering(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer = view(request, *args, **kwargs)
        except ReadingError as refused:
            return refusal(refused)
        response = answer if isinstance(answer, HttpResponse) else JsonResponse(dict(answer))
        patch_cache_control(response, private=True, no_store=True)
        return response

    answering.answers_json = True  # type: ignore[attr-defined]
    return answering


def refusal(refused: ReadingError) -> JsonResponse:
    response = JsonResponse(
        {**refused.details, "error": str(refused), "code": refused.code}, status=refused.status
    )
    if isinstance(refused, TooManyRequests):
        response.headers["Retry-After"] = str(refused.seconds)
    return response


class TooLarge(Malformed):
    code = "too_large"
    status = 413


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The JSON object that was sent; `Malformed` or `TooLarge` if it is none."""
    # Asked before the body is read into memory.
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        raise TooLarge("The request is too large.")
    try:
        content = json.loads(request.body, parse_constant=_no_constant)
        # Text that no database takes: half a surrogate pair, a NUL.
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or _has_nul(content):
        raise Malformed("The request is not a JSON object.")
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON.")


def _has_nul(content: object) -> bool:
    if isinstance(content, str):
        return "\x00" in content
    if isinstance(content, dict):
        return any(_has_nul(key) or _has_nul(value) for key, value in content.items())
    return isinstance(content, list) and any(_has_nul(value) for value in content)


def text_of(content: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = content.get(name, default)
    if not isinstance(value, str):
        raise Malformed(f"The request's “{name}” is missing or not text.")
    return value


def revision_of(content: Mapping[str, Any]) -> int:
    """The revision that the page showed, 0 for none."""
    value = content.get("revision")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Malformed("The request says not which revision it changes.")
    return value


def id_of(content: Mapping[str, Any]) -> uuid.UUID:
    """The id that the page gave the act."""
    try:
        return uuid.UUID(text_of(content, "id"))
    except ValueError:
        raise Malformed("The request's “id” is not a UUID.") from None
