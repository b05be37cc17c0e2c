"""A server with auth as people run it: who is refused, and how clients see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import openai
import pytest
from service_kit import Served, Start

from pyeino.security import AuthService

SECRET = "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
BOOTSTRAP = "boot-7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
PER_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request got."""

    status: int
    headers: dict[str, str]
    body: Any


@pytest.fixture(scope="module")
def guarded(start: Start) -> Served:
    """`pyeino serve` with auth and a limit of requests."""
    return start(
        PYEINO_AUTH__ENABLED="true",
        PYEINO_AUTH__JWT_SECRET=SECRET,
        PYEINO_AUTH__BOOTSTRAP_KEY=BOOTSTRAP,
        PYEINO_LIMITS__REQUESTS_PER_MINUTE=str(PER_MINUTE),
        PYEINO_LIMITS__BURST="20",
        PYEINO_RAG__EMBEDDING__PROVIDER="none",
    )


def ask(
    served: Served, path: str, *, method: str = "GET", body: Any = None, **headers: str
) -> Answer:
    request = urllib.request.Request(
        served.url + path,
        None if body is None else json.dumps(body).encode(),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        method=method,
    )
    if body is not None:
        request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            text = answer.read()
            return Answer(
                status=answer.status, headers=_lower(answer.headers), body=json.loads(text or "{}")
            )
    except urllib.error.HTTPError as error:
        with error:
            body = json.loads(error.read())
            return Answer(status=error.code, headers=_lower(error.headers), body=body)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def bearer(user_id: str, *roles: str, expired: bool = False) -> str:
    clock = (lambda: time.time() - 3_600) if expired else time.time
    signer = AuthService(SECRET, timedelta(minutes=15), clock=clock)
    return f"Bearer {signer.generate_token(user_id, roles or ('user',))}"


def _list_models(client: openai.OpenAI, times: int) -> None:
    for _ in range(times):
        client.models.list()


def test_n12_no_token_an_expired_one_and_a_wrong_role(guarded: Served) -> None:
    nobody = ask(guarded, "/api/v1/sessions")
    assert (nobody.status, nobody.body["error"]["message"]) == (401, "API key required")
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    late = ask(guarded, "/api/v1/sessions", Authorization=bearer("ann", expired=True))
    assert (late.status, late.body["error"]["code"]) == (401, "TOKEN_EXPIRED")
    wrong = ask(guarded, "/api/v1/sessions", X_API_Key="pyk_wrong_key")
    assert (wrong.status, wrong.body["error"]["message"]) == (401, "Invalid API key")
    scraper = ask(guarded, "/api/v1/sessions", Authorization=bearer("prometheus", "metrics"))
    assert (scraper.status, scraper.body["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


def test_a_foreign_session_is_404(guarded: Served) -> None:
    ann, bob = bearer("ann"), bearer("bob")
    made = ask(
        guarded, "/api/v1/sessions", method="POST", body={"session_id": "s"}, Authorization=ann
    )
    assert made.status == 201
    assert ask(guarded, "/api/v1/sessions/s", Authorization=ann).status == 200
    foreign = ask(guarded, "/api/v1/sessions/s", Authorization=bob)
    unknown = ask(guarded, "/api/v1/sessions/t", Authorization=bob)
    assert (foreign.status, foreign.body["error"]) == (404, unknown.body["error"])


def test_over_the_limit_is_429_at_once(guarded: Served) -> None:
    headers = {"Authorization": bearer("eager")}
    answers = [ask(guarded, "/v1/models", **headers)]
    while answers[-1].status == 200:
        answers.append(ask(guarded, "/v1/models", **headers))
        assert len(answers) < 10 * PER_MINUTE
    assert len(answers) > 20
    refused = answers[-1]
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert float(refused.headers["retry-after-ms"]) > 0
    assert refused.headers["x-ratelimit-limit"] == str(PER_MINUTE)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"


def test_the_official_client_and_keys_of_the_command_line(guarded: Served) -> None:
    database = f"sqlite:///{guarded.log.parent}/served.db"
    made = subprocess.run(
        [sys.executable, "-m", "pyeino", "keys", "create", "--user", "carl"],
        env={
            **os.environ,
            "DATABASE_URL": database,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    key = made.stdout.strip()
    asked: list[Any] = [{"role": "user", "content": "Say one word."}]
    options: dict[str, Any] = {"base_url": f"{guarded.url}/v1", "max_retries": 0}
    with openai.OpenAI(api_key=key, **options) as client:
        answer = client.chat.completions.create(model="default", messages=asked, max_tokens=8)
        assert answer.choices[0].message.content
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="default", messages=asked, user="ann")
        with pytest.raises(openai.RateLimitError) as limited:
            _list_models(client, 10 * PER_MINUTE)
        assert limited.value.code == "rate_limit_exceeded"
    with (
        openai.OpenAI(api_key="pyk_wrong_key", **options) as client,
        pytest.raises(openai.AuthenticationError, match="Invalid API key"),
    ):
        client.models.list()
    with (
        openai.OpenAI(api_key=bearer("m", "metrics")[7:], **options) as client,
        pytest.raises(openai.PermissionDeniedError, match="scope models"),
    ):
        client.models.list()


def test_n12_tokens_for_the_bootstrap_key_and_their_end(guarded: Served) -> None:
    path = "/api/v1/auth"
    pair = ask(
        guarded, f"{path}/token", method="POST", body={"user_id": "dora"}, X_API_Key=BOOTSTRAP
    )
    assert pair.status == 200
    me = ask(guarded, f"{path}/me", Authorization=f"Bearer {pair.body['access_token']}")
    assert (me.body["user_id"], me.body["roles"]) == ("dora", ["user"])
    renew = {"refresh_token": pair.body["refresh_token"]}
    assert ask(guarded, f"{path}/refresh", method="POST", body=renew).status == 200
    reused = ask(guarded, f"{path}/refresh", method="POST", body=renew)
    assert (reused.status, reused.body["error"]["code"]) == (401, "TOKEN_REVOKED")
