"""Every example program runs, and says what it promises."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_kit import BIN, ROOT, environment, fences_of, free_port, run, wait_until_ready

EXAMPLES = ROOT / "examples"

# program → what its output holds. A program that is served is not run by itself.
PROGRAMS = {
    "graph_with_branch.py": [
        "19 + 23 = 42",
        "A stream is a value that comes in pieces.",
        "flowchart",
    ],
    "hello_chain.py": [],
    "tool_chain.py": [
        "Hm. \n\nIt rains in Oslo, at 54.5 °F.",
        'calculator({"expression":"1 / 0"}) -> ',
        "[INVALID_EXPRESSION]",
        'calculator({"expression":"12.5 * 9 / 5 + 32"}) -> 54.5',
        "tool_loop",
    ],
    "streaming_transform.py": ["1. Rivers flow downhill.\n2. They carry sand.\n", "whole: 3 lines"],
    "templates.py": [
        "needs: language, question, user",
        "You help Ann and answer in English.",
        "missing:",
        "Your first word was hello.",
    ],
    "workflow.py": [
        "Dear Ann, our hours in Oslo are nine to five. The desk",
        "Dear Ann, our hours in this town are not known to us. The desk",
        "only when the branch behind town chose 'hours'",
    ],
    "tool_loop.py": ["tool: 42", "no weather for Bergen", "19 + 23 is 42"],
}
SERVED = {"served_chain.py"}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROGRAMS) | SERVED


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_runs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "llamacpp" in (EXAMPLES / name).read_text(encoding="utf-8"):
        request.getfixturevalue("local_model")
    output = run([sys.executable, "-W", "error", str(EXAMPLES / name)], folder=tmp_path)
    assert output.strip()
    for text in PROGRAMS[name]:
        assert text in output


def test_the_program_of_the_readme_is_an_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = [fence.code for fence in fences_of(readme, page="README.md")]
    example = (EXAMPLES / "hello_chain.py").read_text(encoding="utf-8")
    assert any(program in example for program in programs if "asyncio.run" in program)


@pytest.fixture(scope="module")
def reversing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The served example, started as its docstring says."""
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(BIN / "pyeino"), "serve", "served_chain:answer", "--port", str(port)],
            cwd=EXAMPLES,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ready", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_a_chain_of_your_own_is_served_on_both_faces(reversing_server: str) -> None:
    native = _post(
        f"{reversing_server}/api/v1/chat", {"user_id": "ann", "message": "one two three"}
    )
    assert native["content"].split() == ["three", "two", "one"]
    turn = {"model": "default", "messages": [{"role": "user", "content": "one two three"}]}
    openai = _post(f"{reversing_server}/v1/chat/completions", turn)
    assert openai["choices"][0]["message"]["content"].split() == ["three", "two", "one"]


def _post(url: str, body: object) -> dict[str, object]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, object] = json.load(answer)
        return found
