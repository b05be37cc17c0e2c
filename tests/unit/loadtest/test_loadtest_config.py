"""What a load test declares, and what it sends."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.loadtest import VARIABLES, LoadTestConfig, LoadTestConfigError, split_bodies
from pyeino.loadtest._bodies import Bodies, Turn
from pyeino.loadtest._schedule import Schedule

TARGET = "http://127.0.0.1:8080"


def problems_of(**given: Any) -> tuple[str, ...]:
    with pytest.raises(LoadTestConfigError) as raised:
        LoadTestConfig(**({"target": TARGET} | given))
    return raised.value.problems


def body_of(config: LoadTestConfig, number: int, worker: int = 0) -> Any:
    return json.loads(Bodies(config.bodies).body(Turn(number=number, worker=worker)))


def test_g155_everything_wrong_is_said_at_once() -> None:
    found = problems_of(
        target="ftp://x",
        concurrency=0,
        duration=0,
        ramp_up=-1,
        rate=float("nan"),
        timeout=float("inf"),
        headers={"bad name": "x"},
        bodies=("{", '{"a": "{{nobody}}"}'),
    )
    words = ("target", "duration", "timeout", "ramp_up", "concurrency", "rate", "header 'bad name'")
    for word in (*words, "body 1: it is no JSON", "body 2: unknown variable 'nobody'"):
        assert any(one.startswith(word) for one in found), word
    assert len(found) == 9


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"target": "http://ann:secret@host/x"}, "user name or password"),
        ({"target": "http://host:port/"}, "expected an http://"),
        ({"target": f"{TARGET}/v1/chat/completions"}, "/v1/chat/completions needs some"),
        ({"method": "BREW"}, "method"),
        ({"ca_file": Path("/nowhere")}, "https:// targets only"),
        ({"verify": False}, "https:// targets only"),
        ({"api_key": "k", "headers": {"Authorization": "x"}}, "authorization header already"),
        ({"api_key": "k\n"}, "api_key"),
    ],
)
def test_what_cannot_be_sent_is_refused(given: dict[str, Any], word: str) -> None:
    assert any(word in one for one in problems_of(**given))


def test_secrets_are_not_shown() -> None:
    text = repr(LoadTestConfig(target=TARGET, api_key="hidden-1", headers={"x": "hidden-2"}))
    assert "hidden" not in text
    assert all("hidden" not in one for one in problems_of(headers={"x": "hidden\n"}))


def test_a_target_is_always_named_and_gets_the_chat_path() -> None:
    required = [
        one.name
        for one in dataclasses.fields(LoadTestConfig)
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    assert required == ["target"]
    assert LoadTestConfig(target=TARGET).target == f"{TARGET}/api/v1/chat"
    assert LoadTestConfig(target=f"{TARGET}/other", method="GET").path == "/other"


def test_g156_the_guides_request_comes_first_and_the_next_ones_differ() -> None:
    config = LoadTestConfig(target=TARGET)
    assert body_of(config, 0) == {"message": "test message", "user_id": "test_user"}
    messages = {body_of(config, number)["message"] for number in range(50)}
    assert len(messages) == 50


def test_g156_bodies_come_from_templates_in_turn() -> None:
    first = '{"n": {{n}}, "session_id": "load-{{ worker }}", "id": "{{uuid}}"}'
    config = LoadTestConfig(target=TARGET, bodies=(first, '{"x": "{{suffix}}"}'))
    sent = body_of(config, 4, worker=3)
    assert (sent["n"], sent["session_id"]) == (4, "load-3")
    assert sent["id"] != body_of(config, 4)["id"]
    assert body_of(config, 1) == {"x": " 1"}
    assert all(f"{{{{{name}}}}}" in f"{first}{{{{suffix}}}}".replace(" ", "") for name in VARIABLES)


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ('{\n  "n": {{n}}\n}\n', 1),
        ('{"a": 1}\n\n{"a": {{n}}}\n', 2),
        ("", 0),
    ],
)
def test_a_file_holds_one_body_or_one_a_line(text: str, bodies: int) -> None:
    assert len(split_bodies(text)) == bodies


def test_a_body_that_is_no_json_may_be_sent_as_what_it_is() -> None:
    config = LoadTestConfig(
        target=TARGET, bodies=("a={{n}}",), headers={"Content-Type": "text/plain"}
    )
    assert Bodies(config.bodies).body(Turn(number=2, worker=0)) == b"a=2"


@given(
    rate=st.floats(0.5, 5_000),
    ramp_up=st.floats(0, 60),
    moment=st.floats(0, 120),
)
def test_g153_due_times_grow_and_their_count_agrees(
    rate: float, ramp_up: float, moment: float
) -> None:
    schedule = Schedule(rate, ramp_up=ramp_up)
    count = schedule.count_before(moment)
    around = range(max(0, count - 2), count + 3)
    due = [schedule.due(number) for number in around]
    assert due == sorted(due)
    # Rounding may move a due time that falls on the moment itself to either side.
    for number, one in zip(around, due, strict=True):
        if abs(one - moment) > 1e-6:
            assert (number < count) == (one < moment)


def test_g150_the_rate_grows_evenly_over_the_ramp() -> None:
    schedule = Schedule(100, ramp_up=10)
    begun = [schedule.count_before(moment) for moment in (0, 5, 10, 20)]
    assert begun == [0, 125, 500, 1_500]
