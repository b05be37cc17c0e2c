"""pyeino new: what it writes, and what it refuses."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pyeino import __version__
from pyeino.cli import main

ROOT = Path(__file__).resolve().parents[3]
# The guide's tree, one for one; `utils` is left out on purpose.
FOLDERS = ("configs", "deployments", "docs", "examples", "scripts", "tests", "vendor")
PARTS = ("server", "config", "handlers", "middleware", "models", "chains", "components")
FILES = ("pyproject.toml", "constraints.txt", "Dockerfile", "docker-compose.yml", "README.md")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "my-answers"]) == 0
    return tmp_path / "my-answers"


def files_of(project: Path) -> list[Path]:
    return [path for path in project.rglob("*") if path.is_file()]


def test_it_writes_the_tree_of_the_guide(project: Path) -> None:
    assert all((project / name).is_dir() for name in FOLDERS)
    assert all((project / "src" / "my_answers" / name).is_dir() for name in PARTS)
    assert all((project / name).is_file() for name in FILES)
    assert not [path for path in project.rglob("*") if "util" in path.name]


def test_no_mark_of_the_template_is_left(project: Path) -> None:
    for path in files_of(project):
        text = path.read_text()
        assert not any(mark in text for mark in ("@NAME@", "@PACKAGE@", "@PYEINO@")), path
        assert not path.name.endswith(".tmpl")
    assert f"=={__version__}" in (project / "pyproject.toml").read_text()
    assert (project / "scripts" / "setup.sh").stat().st_mode & 0o111


def test_its_versions_are_those_that_pyeino_is_tested_with(project: Path) -> None:
    ours = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in (project / "constraints.txt").read_text().splitlines() if line]
    pins = [line for line in pins if not line.startswith("#")]
    assert len(pins) > 30
    assert set(pins) - set(ours) == set()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    names = {_bare(pin) for pin in pins}
    for extra in ("server", "sql", "postgres", "redis", "openai"):
        assert {_bare(line) for line in extras[extra]} <= names, extra


def _bare(requirement: str) -> str:
    return re.split(r"[\[<>=;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_its_sources_keep_our_habits(project: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    if subprocess.run([*ruff, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("ruff is missing: scripts/setup-venv.sh lint")
    done = subprocess.run(
        [
            *ruff,
            "check",
            "--isolated",
            "--select",
            "E4,E7,E9,F,B,UP,D1,ASYNC",
            "--ignore",
            "D107",
            "src",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_its_settings_are_settings_of_ours(project: Path) -> None:
    assert main(["config", "check", "--config", str(project / "configs" / "config.yaml")]) == 0


def test_its_compose_file_asks_for_no_password_and_keeps_to_this_machine(project: Path) -> None:
    compose = yaml.safe_load((project / "docker-compose.yml").read_text())
    assert "version" not in compose
    (service,) = compose["services"].values()
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["read_only"] is True


def test_an_empty_folder_is_taken_and_one_with_a_file_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    assert main(["new", "answers", "--folder", str(empty)]) == 0
    assert main(["new", "answers", "--folder", str(full)]) == 1
    said = capsys.readouterr().err
    assert "not empty" in said
    assert "--folder" in said
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    assert main(["new", "answers", "--folder", str(full / "mine.txt")]) == 1
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "",
        "My-App",
        "1st",
        "a_b",
        "a--b",
        "-a",
        "a-",
        "../up",
        "a/b",
        "json",
        "class",
        "pyeino",
        "ä",
    ],
)
def test_a_bad_name_is_refused_with_a_good_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "--", name]) == 2
    assert "pyeino new my-answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["new", "answers", "--folder", str(tmp_path / "file" / "below")]) == 1
    assert "cannot be written" in capsys.readouterr().err
