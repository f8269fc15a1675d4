"""Log lines: without the messages of errors, and without what opens a door.

An error's message may quote what somebody typed or a header said, the path of an invitation or of a
reset link sets a password: whoever reads the log gets neither, whoever wrote the line. Both formats
do it as the last step; gunicorn's own loggers, which have formats of their own, by a filter.
"""

from __future__ import annotations

import copy
import datetime
import errno
import json
import logging
import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from django.core.exceptions import DisallowedHost

from .request_ids import current

MASK = "***"
_SLASH = r"(?:/|%2F)+"
# What stands behind these paths works once and opens an account to whoever has it.
_PATHS = re.compile(
    rf"((?:invitation|password{_SLASH}reset{_SLASH}key){_SLASH})[^\s\"'<>]+",
    re.IGNORECASE,
)
# The answers of a single sign-on, and whatever else comes under such a name.
_QUERIES = re.compile(
    r"([?&;](?:code|state|session_state|id_token|access_token|token|key)=)[^&;#\s\"'<>]+",
    re.IGNORECASE,
)
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_Trace = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True


class PlainFormatter(logging.Formatter):
    """A line for people, with the trace of an error below it."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(without_messages(record)))

    def formatException(self, ei: _Trace) -> str:
        return trace_of(ei[1])


class JsonFormatter(PlainFormatter):
    """Time (UTC), level, logger, message, request, process; the trace of an error, if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(without_messages(record).getMessage()),
            "request": getattr(record, "request_id", "-"),
            "process": record.process,
        }
        status = getattr(record, "status_code", None)
        if status is not None:
            line["status"] = status
        if record.exc_info:
            line["trace"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class ForeignLines(logging.Filter):
    """For a logger whose handlers are another program's: the same, done to the record itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = without_messages(record)
        record.msg, record.args = masked(told.getMessage()), ()
        if record.exc_info:
            record.exc_text = masked(trace_of(record.exc_info[1]))  # is not formatted again
        return True


def masked(text: str) -> str:
    return _QUERIES.sub(rf"\1{MASK}", _PATHS.sub(rf"\1{MASK}", text))


def without_messages(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose line names errors by their kind, where the logger put in their message."""
    told = copy.copy(record)
    told.exc_text = None  # another handler's, with the message
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(record.msg, BaseException):
        told.msg = kind_of(record.msg)
    elif error is not None and record.msg == str(error) and not isinstance(error, DisallowedHost):
        # Django's own lines of suspicious requests. What a wrong host is called has to be said:
        # whoever sets ALLOWED_HOSTS looks for it here.
        told.msg, told.args = kind_of(error), ()
    if isinstance(told.args, tuple):
        told.args = tuple(map(_kind_if_error, told.args))
    elif type(told.args) is dict:
        told.args = {name: _kind_if_error(value) for name, value in told.args.items()}
        if error is not None and {"exc", "traceback"} <= told.args.keys():  # as Celery writes them
            told.args |= {"exc": kind_of(error), "traceback": ""}
    return told


def _kind_if_error(value: Any) -> Any:
    return kind_of(value) if isinstance(value, BaseException) else value


def kind_of(error: BaseException) -> str:
    """`OSError [ENOSPC]`, `psycopg.errors.UniqueViolation [23505]`: no word of the message."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    state = getattr(error, "sqlstate", None)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{name} [{errno.errorcode.get(error.errno, error.errno)}]"
    if isinstance(state, str) and _SQLSTATE.fullmatch(state):
        return f"{name} [{state}]"
    return name


def trace_of(error: BaseException | None) -> str:
    """Frames and kinds as Python prints them, those of causes and of groups included."""
    return "\n".join(_lines(error, set())) if error is not None else "None"


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before, how = error.__cause__, "The above was the direct cause of the following:"
    if before is None and not error.__suppress_context__:
        before, how = error.__context__, "While the above was handled, the following arose:"
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield from ("", how, "")
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield from "".join(traceback.format_tb(error.__traceback__)).rstrip("\n").split("\n")
    yield kind_of(error)
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, start=1):
            yield f"  {number} of {len(error.exceptions)}:"
            if id(one) not in seen:
                yield from (f"  | {line}" for line in _lines(one, seen))
