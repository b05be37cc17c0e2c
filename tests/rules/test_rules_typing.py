"""The typing check can fail: both when a refusal is missing and when something good is refused."""

import importlib.util
import sys

from rule_kit import ROOT

_SPEC = importlib.util.spec_from_file_location(
    "check_typing", ROOT / "tests" / "typing" / "check_typing.py"
)
assert _SPEC
assert _SPEC.loader
check_typing = importlib.util.module_from_spec(_SPEC)
sys.modules["check_typing"] = check_typing
_SPEC.loader.exec_module(check_typing)

SAMPLE = """\
good()
bad()  # refused
spans(
    several,  # refused
)
"""


def test_exactly_the_marked_statements_have_to_be_refused() -> None:
    assert check_typing.problems_of("s.py", SAMPLE, {2: "no", 3: "no"}) == []
    assert check_typing.problems_of("s.py", SAMPLE, {2: "no", 4: "no"}) == []


def test_a_missing_refusal_and_a_refused_good_line_are_found() -> None:
    problems = check_typing.problems_of("s.py", SAMPLE, {1: "why", 2: "no"})
    assert problems == [
        "s.py:1: refused, but should be accepted: why",
        "s.py:4: accepted, but should be refused",
    ]


def test_there_are_samples_with_refusals() -> None:
    texts = [path.read_text() for path in check_typing.SAMPLES.glob("*.py")]
    assert len(texts) >= 3
    assert all(check_typing.expected_errors(text).markers for text in texts)
