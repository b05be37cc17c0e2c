"""The Dockerfile: linted, and each line that the guide's got wrong."""

import re
import subprocess
import tomllib

import pytest
from deploy_kit import ROOT, script_of_environment

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions(text: str = DOCKERFILE) -> list[tuple[str, str]]:
    """Each instruction with its words, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    return [(line.split()[0], line) for line in joined.splitlines() if line.strip()]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of a stage."""
    found: list[tuple[str, str]] = []
    inside = False
    for word, line in instructions():
        if word == "FROM":
            inside = line.endswith(f" AS {name}")
        elif inside:
            found.append((word, line))
    return found


def lint(text: str) -> str:
    """What hadolint says to a Dockerfile; empty when it is content."""
    done = subprocess.run(
        [script_of_environment("hadolint"), "--no-color", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    assert lint(DOCKERFILE) == ""


def test_hadolint_would_find_something() -> None:
    assert "DL3007" in lint("FROM python:latest\nRUN apt-get install curl\n")


def test_every_exception_to_a_rule_has_a_reason_above_it() -> None:
    lines = DOCKERFILE.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# hadolint ignore"):
            assert lines[number - 1].startswith("# ") or "PYEINO_MODELS_DIR" in lines[number - 1]


def test_g100_app_belongs_to_a_numeric_user_and_nothing_is_under_root() -> None:
    base = stage("base")
    assert ("USER", "USER 10001:10001") in base
    assert any("chown -R 10001:10001 /app" in line for _, line in base)
    for name in ("base", "remote", "local"):
        copies = [line for word, line in stage(name) if word == "COPY"]
        assert copies
        assert all("--chown=10001:10001" in line for line in copies)
    assert not re.search(r"/ro{1,2}t\b", DOCKERFILE)


def test_the_last_stages_keep_user_and_command() -> None:
    for name in ("remote", "local"):
        words = {word for word, _ in stage(name)}
        assert not words & {"USER", "ENTRYPOINT", "CMD", "HEALTHCHECK"}
    base = dict(stage("base"))
    assert base["ENTRYPOINT"] == 'ENTRYPOINT ["pyeino"]'
    assert base["CMD"] == 'CMD ["serve"]'
    assert base["EXPOSE"] == "EXPOSE 8080"
    assert base["STOPSIGNAL"] == "STOPSIGNAL SIGTERM"


def test_g101_the_base_is_pinned_and_the_context_is_small() -> None:
    (argument,) = [line for word, line in instructions() if word == "ARG"]
    assert re.fullmatch(r"ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+", argument)
    froms = [line.split()[1] for word, line in instructions() if word == "FROM"]
    assert set(froms) <= {"${PYTHON_IMAGE}", "build", "base"}
    assert "by digest" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is left out but what is named"
    allowed = {line[1:] for line in rules if line.startswith("!")}
    copied = {
        path
        for word, line in instructions()
        if word == "COPY" and "--from" not in line
        for path in line.split()[1:-1]
        if not path.startswith("--")
    }
    assert allowed == copied
    assert all((ROOT / path).exists() for path in copied)


def test_g102_the_health_check_needs_no_further_program_and_waits_for_the_model() -> None:
    (check,) = [line for word, line in stage("base") if word == "HEALTHCHECK"]
    for option in ("--interval=30s", "--timeout=3s", "--retries=3", "--start-period=60s"):
        assert option in check
    assert '["pyeino", "health", "--url", "http://127.0.0.1:8080"]' in check
    assert not re.search(r"\b(wget|curl|localhost)\b", DOCKERFILE)


def test_only_the_stage_for_it_has_the_local_model() -> None:
    (remote,) = [line for word, line in stage("build") if word == "RUN" and "pip install" in line]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", remote)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = set(project["optional-dependencies"])
    # What only measures is left out; an extra that is not there is a warning of pip's.
    assert declared - {"all", "local", "loadtest"} <= set(extras.split(","))
    assert "local" not in extras
    assert any("pyeino models pull" in line for _, line in stage("build-local"))
    assert not any("build-local" in line for _, line in stage("remote"))
    assert instructions()[-1][1].endswith("/app/models ./models"), "`docker build .` is local"


@pytest.mark.parametrize("stage_name", ["build", "base"])
def test_no_secret_is_built_in(stage_name: str) -> None:
    assert not re.search(r"(?i)(secret|password|token|_key)\s*=", str(stage(stage_name)))
