"""Whatever the description allows, and more, against a real server with auth on."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from typing import Any

import hypothesis
import pytest
import schemathesis
from auth_kit import Guard
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)


def body_fits(context: Any, response: Any, case: Any) -> bool | None:
    """The body fits its schema; that of an event stream is for the data of each event."""
    if "text/event-stream" in str(response.headers.get("content-type")):
        return None
    found: bool | None = response_schema_conformance(context, response, case)
    return found


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    body_fits,
    ignored_auth,
]
CREDENTIALS = ("authorization", "x-api-key")


def _attack(url: str, document: dict[str, Any], key: str, *, examples: int) -> int:
    """Send what schemathesis makes of each operation; how many requests were answered as told."""
    schema = schemathesis.openapi.from_dict(document)
    addresses = itertools.count(int(ipaddress.ip_address("10.1.0.0")))
    answered = 0

    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def check(case: Any) -> None:
            nonlocal answered
            # Credentials that it makes up itself would stand beside the good ones.
            for name in [one for one in case.headers if one.lower() in CREDENTIALS]:
                del case.headers[name]
            # From an address of its own: wrong keys are counted by address.
            headers = {
                "X-API-Key": key,
                "X-Forwarded-For": str(ipaddress.ip_address(next(addresses))),
            }
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
            answered += 1

        check()
    return answered


@pytest.mark.full
async def test_no_answer_that_the_description_does_not_know_and_no_ignored_auth(
    guarded: Guard,
) -> None:
    options: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",)}
    async with guarded("Hello", **options) as server:
        document = (await server.http.get("/openapi.json")).json()
        key = server.keys["admin"]
        answered = await asyncio.to_thread(_attack, server.running.url, document, key, examples=25)
        assert answered >= 25 * 10
        assert not server.running.logger.found("Request failed")
