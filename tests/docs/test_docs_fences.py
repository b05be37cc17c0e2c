"""Every fence of README and docs runs: against a real server where it names one."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from docs_kit import (
    DOCUMENTED_ADDRESS,
    DOCUMENTED_DATABASE,
    EXECUTED,
    READ_ONLY,
    ROOT,
    Fence,
    all_fences,
    commands_of,
    fences_of,
    only_exports,
    run,
    run_bash,
    run_python,
)

FENCES = all_fences()
# The translation shows the same commands (test_docs_pages holds that): they run once.
RUN_ONCE = [fence for fence in FENCES if "zh-CN" not in fence.page]


def _of(language: str) -> list[Fence]:
    return [fence for fence in RUN_ONCE if fence.language == language]


def _local(fence: Fence, request: pytest.FixtureRequest) -> str:
    """The code with the address of a running server, which is started when the code names one."""
    if DOCUMENTED_DATABASE in fence.code:
        url: str = request.getfixturevalue("postgres_url")
        # What keeps other documented commands off the user's own file would win over the fence.
        return f"unset PYEINO_DATABASE__URL\n{fence.code.replace(DOCUMENTED_DATABASE, repr(url))}"
    if DOCUMENTED_ADDRESS not in fence.code:
        return fence.code
    address: str = request.getfixturevalue("documented_server")
    return fence.code.replace(DOCUMENTED_ADDRESS, address)


def test_every_fence_says_its_language() -> None:
    unknown = [f.id for f in FENCES if f.language not in EXECUTED | READ_ONLY]
    assert unknown == []


@pytest.mark.parametrize("fence", _of("python"), ids=lambda fence: fence.id)
def test_a_python_fence_runs(fence: Fence, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "llamacpp" in fence.code:
        request.getfixturevalue("local_model")
    run_python(_local(fence, request), folder=tmp_path)


@pytest.mark.parametrize("fence", _of("bash"), ids=lambda fence: fence.id)
def test_a_bash_fence_runs(fence: Fence, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if only_exports(fence):
        return _check_settings(fence, tmp_path)
    code = _local(fence, request)
    if "curl" in code and shutil.which("curl") is None:
        pytest.skip("curl is missing: apt install curl")
    output = run_bash(code, folder=tmp_path)
    if "curl" in code:
        assert output.strip(), "the server answered nothing"
        assert "grep" in code or '"error"' not in output, f"the server refused it: {output}"
    return None


def _check_settings(fence: Fence, folder: Path) -> None:
    """Variables are right when a server would start with them and those set before them."""
    before = [
        one
        for one in RUN_ONCE
        if one.page == fence.page and one.line <= fence.line and only_exports(one)
    ]
    exports = "".join(one.code for one in before)
    run_bash(f"{exports}pyeino config check", folder=folder)


@pytest.mark.parametrize("fence", _of("console"), ids=lambda fence: fence.id)
def test_a_console_fence_holds(fence: Fence, tmp_path: Path) -> None:
    commands = commands_of(fence)
    assert commands, "a console block has lines that begin with '$ '"
    for command in commands:
        _hold(command, tmp_path)


def _hold(command: str, folder: Path) -> None:
    """Run a console command, or what can be held of one that would install or serve for good."""
    words = [word for word in command.split() if "=" not in word]
    match words:
        case ["make", target, *_]:
            run(["make", "--dry-run", "-C", str(ROOT), target], folder=folder)
        case ["pip", "install", what] | [".venv/bin/pip", "install", what]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())
            extras = what.strip("'\"").partition("[")[2].rstrip("]")
            assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
        case ["git", "clone", *_] | ["cd", *_]:
            pass
        case ["pyeino", "serve", target, *_]:  # test_docs_examples and test_service_chains do it
            named = re.search(r"--chain \w+=(\S+)", command)
            module, _, attribute = (named[1] if named else target).partition(":")
            assert f"\n{attribute} = " in (ROOT / "examples" / f"{module}.py").read_text()
        case _:
            run_bash(command, folder=folder)


@pytest.mark.parametrize("fence", _of("yaml"), ids=lambda fence: fence.id)
def test_a_yaml_fence_is_a_valid_configuration(fence: Fence, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(fence.code)
    run_bash(
        "PYEINO_LLM__API_KEY=x pyeino config check --config config.yaml"
        if "openai" in fence.code
        else "pyeino config check --config config.yaml",
        folder=tmp_path,
    )


# --- the tests above can fail ---------------------------------------------------------------------


def test_fences_are_found_and_an_open_one_is_an_error() -> None:
    found = fences_of("a\n```python\nx = 1\n```\n\n```bash\nls\n```\n", page="p")
    assert [(f.language, f.code, f.line) for f in found] == [
        ("python", "x = 1\n", 2),
        ("bash", "ls\n", 6),
    ]
    with pytest.raises(ValueError, match="p:1"):
        fences_of("```python\nx", page="p")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("bash", "curl -sS http://127.0.0.1:1/none\n"),
        ("bash", "pyeino config check --set llm.max_tokens=0\n"),
        ("console", "$ make no-such-target\n"),
        ("console", "$ pip install 'pyeino[nothing]'\n"),
        ("yaml", "llm:\n  max_token: 1\n"),
        ("python", "raise SystemExit(3)\n"),
    ],
)
def test_a_planted_fence_fails(
    language: str, code: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fence = Fence(page="planted", line=1, language=language, code=code)
    with pytest.raises(AssertionError):
        _run_planted(fence, tmp_path, request)


def _run_planted(fence: Fence, folder: Path, request: pytest.FixtureRequest) -> None:
    match fence.language:
        case "bash":
            test_a_bash_fence_runs(fence, folder, request)
        case "console":
            test_a_console_fence_holds(fence, folder)
        case "yaml":
            test_a_yaml_fence_is_a_valid_configuration(fence, folder)
        case _:
            run_python(fence.code, folder=folder)
