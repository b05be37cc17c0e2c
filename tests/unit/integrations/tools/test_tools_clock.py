"""The clock: any zone there is, and a hint for one that is not."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import pytest

from pyeino.errors import ValidationError
from pyeino.integrations.tools import clock


async def test_it_tells_time_weekday_and_offset() -> None:
    said = str(await clock.run('{"timezone": "Asia/Tokyo"}'))
    found = re.fullmatch(r"(\S+) \((\w+day), Asia/Tokyo\)", said)
    assert found is not None
    moment = datetime.fromisoformat(found[1])
    assert moment.utcoffset() == timedelta(hours=9)
    assert f"{moment:%A}" == found[2]
    assert abs(moment - datetime.now(moment.tzinfo)) < timedelta(minutes=5)


async def test_without_a_zone_it_is_utc() -> None:
    assert "+00:00" in str(await clock.run("{}"))


async def test_its_examples_work() -> None:
    for example in clock.info.examples:
        assert await clock.run(json.dumps(example.arguments))


@pytest.mark.parametrize("name", ["Tokyo", "tokyo", "Asia/Tokio", " Tokyo "])
async def test_a_near_miss_gets_a_hint(name: str) -> None:
    with pytest.raises(ValidationError, match="Asia/Tokyo") as caught:
        await clock.run(json.dumps({"timezone": name}))
    assert caught.value.code == "UNKNOWN_TIME_ZONE"


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "Europe", "x\x00y", "Mars"])
async def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        await clock.run(json.dumps({"timezone": name}))
    assert caught.value.code == "UNKNOWN_TIME_ZONE"
