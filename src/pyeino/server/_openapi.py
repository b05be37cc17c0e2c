"""OpenAPI 3.1 from the route table; the schemas come from the records themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pyeino.server._caller import OPEN, PUBLIC, SIGNED_IN
from pyeino.server._errors import speaks_openai
from pyeino.server._table import RouteEntry
from pyeino.wire import PROBLEM_JSON, OpenAIError, ProblemDetails, status_title

_REF = "#/components/schemas/{name}"
_EVERYWHERE = (421, 500)
_WITHOUT_BODY = (101, 204)
_WITH_BODY = (400, 403, 408, 413, 415, 503)
_LIMITED = (429, 503)
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of /api/v1/auth/token, or an API key",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key, made with `pyeino keys create`",
    },
}
_RETRY_HEADERS = {
    "retry-after": {"schema": {"type": "integer"}, "description": "Seconds to wait"},
    "retry-after-ms": {"schema": {"type": "integer"}, "description": "Milliseconds to wait"},
}
_CHALLENGE = {"www-authenticate": {"schema": {"type": "string"}, "description": "How to sign in"}}
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


def describe(
    entries: Sequence[RouteEntry], *, title: str, version: str, auth: bool = False
) -> dict[str, Any]:
    """The OpenAPI document of every route in the table that is not hidden.

    With `auth` it says which credentials a route takes, and how it refuses.
    """
    shown = [entry for entry in entries if not entry.hidden]
    types = _types_of(shown)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for entry in shown:
        path = _PARAMETER.sub(r"{\1}", entry.path)
        paths.setdefault(path, {})[entry.method.lower()] = _operation(entry, by_type, auth=auth)
    security: dict[str, Any] = {"securitySchemes": _SCHEMES} if auth else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": components, **security},
    }


def _types_of(entries: Sequence[RouteEntry]) -> list[Any]:
    types: list[Any] = [ProblemDetails, OpenAIError]
    for entry in entries:
        records = (entry.request, entry.response, entry.streamed, *(entry.frames or ()))
        for one in (*records, *entry.reports.values()):
            if one is not None and one not in types:
                types.append(one)
    return types


def _operation(entry: RouteEntry, by_type: dict[Any, Any], *, auth: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": entry.summary,
        "operationId": _operation_id(entry),
        "tags": [entry.tag],
        "responses": {
            str(entry.status): _success(entry, by_type),
            **_failures(entry, by_type, auth=auth),
        },
    }
    if auth and entry.scope not in OPEN:
        needed = [] if entry.scope == SIGNED_IN else [entry.scope]
        operation["security"] = [{"bearer": needed}, {"apiKey": needed}]
    parameters = [*_path_parameters(entry), *_query_parameters(entry)]
    if parameters:
        operation["parameters"] = parameters
    if entry.frames is not None:
        # OpenAPI has no word for what goes over a WebSocket.
        client, server = entry.frames
        operation["x-websocket-frames"] = {"client": by_type[client], "server": by_type[server]}
    if entry.request is not None:
        operation["requestBody"] = {
            "required": not entry.optional_body,
            "content": {"application/json": {"schema": by_type[entry.request]}},
        }
    return operation


def _path_parameters(entry: RouteEntry) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(entry.path)
    ]


def _query_parameters(entry: RouteEntry) -> list[dict[str, Any]]:
    if entry.query is None:
        return []
    schema: dict[str, Any] = msgspec.json.schema(entry.query)
    record = schema["$defs"][entry.query.__name__]
    required = record.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in record["properties"].items()
    ]


def _operation_id(entry: RouteEntry) -> str:
    words = re.findall(r"[a-z0-9]+", entry.path)
    return "_".join((entry.method.lower(), *words)) if words else f"{entry.method.lower()}_root"


def _success(entry: RouteEntry, by_type: dict[Any, Any]) -> dict[str, Any]:
    if entry.status in _WITHOUT_BODY:
        return {"description": status_title(entry.status)}
    content: dict[str, Any] = {}
    if entry.response is not None:
        content["application/json"] = {"schema": by_type[entry.response]}
    if entry.streamed is not None:
        # The schema is that of the data of one event; OpenAPI 3.1 has no word for a sequence.
        content["text/event-stream"] = {"schema": by_type[entry.streamed]}
    if not content:
        kind = "object" if entry.media == "application/json" else "string"
        content[entry.media] = {"schema": {"type": kind}}
    return {"description": status_title(entry.status), "content": content}


def _failures(entry: RouteEntry, by_type: dict[Any, Any], *, auth: bool) -> dict[str, Any]:
    openai = speaks_openai(entry.path)
    media = "application/json" if openai else PROBLEM_JSON
    schema = by_type[OpenAIError if openai else ProblemDetails]
    statuses = {*_EVERYWHERE, *entry.errors, *(_WITH_BODY if entry.request is not None else ())}
    if entry.query is not None:
        statuses.add(400)
    if entry.scope != PUBLIC:
        statuses.update(_LIMITED)
    if auth and entry.scope not in OPEN:
        statuses.update((401,) if entry.scope == SIGNED_IN else (401, 403))
    failures: dict[str, Any] = {}
    for status in sorted(statuses.union(entry.reports)):
        content: dict[str, Any] = {media: {"schema": schema}}
        if status in entry.reports:
            content = {"application/json": {"schema": by_type[entry.reports[status]]}}
        failure: dict[str, Any] = {"description": status_title(status), "content": content}
        if status in (429, 503):
            failure["headers"] = _RETRY_HEADERS
        if status == 401:
            failure["headers"] = _CHALLENGE
        failures[str(status)] = failure
    return failures
