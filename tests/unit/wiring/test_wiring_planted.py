"""Ten planted mistakes, all found in one run, each with its origin and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.wiring import SettingsError, load_settings

FILE = """\
server:
  prot: 1
  read_timeout: soon
llm:
  provider: openai
  temperature: hot
  max_tokens: -5
logging:
  level: loud
sevrer: {}
"""


def test_ten_planted_mistakes_are_found_in_one_run(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(FILE)
    with pytest.raises(SettingsError) as caught:
        load_settings(
            file,
            env={
                "PORT": "http",
                "PYEINO_LLM__TIMEUOT": "30s",
                "PYEINO_METRICS__ENABLED": "perhaps",
            },
            overrides={"limits.max_body_bytes": "-1"},
        )
    found = {problem.key: problem for problem in caught.value.problems}
    planted = {
        "server.prot": (f"{file}:2", "Did you mean server.port?"),
        "server.read_timeout": (f"{file}:3", "30s"),
        "llm.temperature": (f"{file}:6", "0 to 2"),
        "llm.max_tokens": (f"{file}:7", "positive"),
        "logging.level": (f"{file}:9", "info"),
        "sevrer": (f"{file}:10", "server"),
        "server.port": ("PORT", "0 to 65535"),
        "PYEINO_LLM__TIMEUOT": ("environment", "PYEINO_LLM__TIMEOUT"),
        "metrics.enabled": ("PYEINO_METRICS__ENABLED", "true"),
        "limits.max_body_bytes": ("--set", "from 1024"),
    }
    assert len(planted) == 10
    assert set(planted) <= set(found)
    for key, (origin, word) in planted.items():
        assert origin in str(found[key].origin), key
        assert word in f"{found[key].message} {found[key].remedy}", key
        assert word in str(caught.value)
