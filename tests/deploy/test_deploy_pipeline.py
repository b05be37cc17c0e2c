"""The pipeline runs what a developer runs, and the page about deployment says what is."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from deploy_kit import ROOT

PIPELINE = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
CI = (ROOT / ".ci" / "run").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()
# The guide's list of dependencies, by the name it gives them.
GUIDE = ("gin", "viper", "logrus", "gorm", "go-redis", "client_golang", "otel", "jwt", "x/crypto")


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_n13_the_pipeline_runs_the_commands_of_a_developer() -> None:
    checks = PIPELINE["jobs"]["checks"]
    assert commands(checks) == ["bash .ci/run"]
    pythons = set(checks["strategy"]["matrix"]["python"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if "3." in line}
    assert pythons == promised
    targets = set(re.findall(r"^(?:step )?make ([a-z-]+)", CI, re.M))
    assert targets == {"lint", "type", "docs", "test-all"}
    assert all(re.search(rf"^{target}:", MAKEFILE, re.M) for target in targets)


def test_n13_it_may_read_and_nothing_else_and_holds_no_secret() -> None:
    assert PIPELINE["permissions"] == {"contents": "read"}
    assert "secrets." not in str(PIPELINE)
    assert all("timeout-minutes" in job for job in PIPELINE["jobs"].values())
    used = [s["uses"] for job in PIPELINE["jobs"].values() for s in job["steps"] if "uses" in s]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", one) for one in used)


def test_n13_what_cannot_be_run_here_is_run_there() -> None:
    said = "\n".join(command for job in PIPELINE["jobs"].values() for command in commands(job))
    for word in ("docker build", "docker compose up", "helm lint", "helm template", "kustomize"):
        assert word in said


def test_the_local_script_installs_what_the_tests_need() -> None:
    assert "missing+=(prometheus)" in CI
    assert "missing+=(chromium)" in CI
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0


def test_every_dependency_of_the_guide_has_a_row() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
    table = {guide.strip(): ours for _, guide, ours, why in [r for r in rows if len(r) == 4]}
    assert all(any(name in key for key in table) for name in GUIDE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    declared = {re.split(r"[\[<>=;]", line, maxsplit=1)[0] for line in lines}
    named = {name for ours in table.values() for name in re.findall(r"`([\w-]+)`", ours)}
    assert len(named) > 8
    assert named <= declared


@pytest.mark.parametrize("path", re.findall(r"^\| (`[^|]+`) \|", PAGE, re.M))
def test_every_file_on_the_page_is_there(path: str) -> None:
    for name in re.findall(r"`([^`]+)`", path):
        assert (ROOT / name).exists(), name


def test_makefile_writes_the_environment_of_compose() -> None:
    assert re.search(r"^compose-env: ##.*\n\t@scripts/compose-env\.sh$", MAKEFILE, re.M)
