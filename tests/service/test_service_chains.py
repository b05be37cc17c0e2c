"""N4: chains, graphs and workflows registered by name, from the command line."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from service_kit import Served, Start

EXAMPLES = Path(__file__).parents[2] / "examples"


def post(served: Served, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat",
        json.dumps({"user_id": "ann", **body}).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_n4_a_further_chain_is_picked_by_its_name(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    served = start("--chain", "reverse=served_chain:answer")
    status, answer = post(served, {"message": "one two", "options": {"chain": "reverse"}})
    assert status == 200
    assert answer["content"].split() == ["two", "one"]
    assert answer["metadata"]["chain"] == "reverse"
    status, answer = post(served, {"message": "hello", "options": {"chain": "nobody"}})
    assert status == 400
    assert "reverse" in answer["error"]["message"]
    status, answer = post(served, {"message": "What time is it?", "options": {"max_tokens": 4}})
    assert (status, answer["metadata"]["chain"]) == (200, "plain")


def test_n4_a_workflow_is_registered_and_picked_by_its_name(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    served = start("--chain", "desk=workflow:desk", "--chain", "reverse=served_chain:answer")
    asked = {"message": "When do you open in Oslo?", "options": {"chain": "desk"}}
    status, answer = post(served, asked)
    assert status == 200
    assert answer["content"].strip() == "Dear ann, our hours in Oslo are nine to five. The desk"
    assert answer["metadata"]["chain"] == "desk"
    status, answer = post(served, {"message": "one two", "options": {"chain": "reverse"}})
    assert (status, answer["content"].split()) == (200, ["two", "one"])
