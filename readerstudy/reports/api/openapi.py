"""The API as an OpenAPI 3.1 document."""

from __future__ import annotations

from typing import Any

from readerstudy import __version__

_PLAN = {
    "name": "plan",
    "in": "query",
    "required": False,
    "description": "After unblinding: another signed version of the plan than the key's. What was "
    "signed since is marked post hoc.",
    "schema": {"type": "integer"},
}
_STUDY = {
    "name": "study",
    "in": "path",
    "required": True,
    "description": "The study's address (slug): the one that the token is for.",
    "schema": {"type": "string"},
}
_FILE = {
    "name": "file",
    "in": "path",
    "required": True,
    "description": "A name out of the list of files; it may hold a slash, as figures/figure3.svg.",
    "schema": {"type": "string"},
}


def _answer(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _error(description: str) -> dict[str, Any]:
    return _answer(description, "application/json", {"$ref": "#/components/schemas/Error"})


_REFUSALS = {
    "401": _error("No token, or one that is unknown, revoked or over."),
    "403": _error("This person may not see results yet."),
    "404": _error("No such study for this token, or no such file."),
    "409": _error("There are no results: the study is not locked, or they cannot be computed."),
}
_BINARY = {"type": "string", "format": "binary"}


def _get(
    summary: str, name: str, answer: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": answer, **_REFUSALS},
        }
    }


def openapi_document(server: str) -> dict[str, Any]:
    kind = "application/json"
    study = _answer("The study", kind, {"$ref": "#/components/schemas/Study"})
    results = _answer("results.json of the bundle", kind, {"type": "object"})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ReaderStudy results",
            "version": __version__,
            "description": "Read-only. Before unblinding, letters stand for arms throughout.",
        },
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": {
            "/studies/{study}/": _get("State, hashes and files", "study", study, [_STUDY, _PLAN]),
            "/studies/{study}/results/": _get(
                "Every result with every digit", "results", results, [_STUDY, _PLAN]
            ),
            "/studies/{study}/files/{file}": _get(
                "One file of the bundle",
                "file",
                _answer("The file", "application/octet-stream", _BINARY),
                [_STUDY, _FILE, _PLAN],
            ),
            "/studies/{study}/bundle.zip": _get(
                "The newest bundle that was made",
                "bundle",
                _answer("The bundle", "application/zip", _BINARY),
                [_STUDY, _PLAN],
            ),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
                "Study": {
                    "type": "object",
                    "required": ["study", "title", "state", "arms", "files"],
                    "properties": {
                        "study": {"type": "string"},
                        "title": {"type": "string"},
                        "notice": {"type": "string"},
                        "state": {"enum": ["locked", "unblinded"]},
                        "arms": {"enum": ["letters", "names"]},
                        "plan_version": {"type": ["integer", "null"]},
                        "plan_signed_at": {"type": ["string", "null"], "format": "date-time"},
                        "plan_signed": {"type": "string"},
                        "post_hoc": {"type": "string"},
                        "amended_after_lock": {"type": "string"},
                        "plan_sha256": {"type": "string"},
                        "data_sha256": {"type": "string"},
                        "files": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "name": {"type": "string"},
                                    "description": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        },
    }
