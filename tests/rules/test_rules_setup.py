"""The set-up script says in one line what is missing, and does nothing when nothing has changed."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from rule_kit import ROOT

OLD = 'case "$*" in *version_info*) exit 1;; *python_version*) echo 3.9.2;; esac'
NO_VENV = "case \"$*\" in *'import venv'*) exit 1;; *python_version*) echo 3.11.2;; esac"
ABSENT = "exit 127"


def _clone(folder: Path) -> Path:
    """The files that the set-up reads, in a place of their own."""
    (folder / "scripts").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup-venv.sh"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def _set_up(folder: Path, *groups: str, python: str | None = None, **env: str) -> tuple[int, str]:
    """Run the script with every interpreter name answered by the stand-in script `python`."""
    path = os.environ["PATH"]
    if python is not None:
        tools = folder / "tools"
        tools.mkdir()
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
            (tools / name).write_text(f"#!/bin/sh\n{python}\n")
            (tools / name).chmod(0o755)
        path = f"{tools}{os.pathsep}{path}"
    done = subprocess.run(
        ["bash", str(folder / "scripts" / "setup-venv.sh"), *groups],
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("python", "words"),
    [
        (OLD, ["python3 is 3.9.2", "3.11 or newer", "apt install"]),
        (NO_VENV, ["python3 (3.11.2) lacks venv", "apt install python3.11-venv"]),
        (ABSENT, ["python3 is not installed", "apt install python3"]),
    ],
)
def test_one_clear_line_when_python_does_not_do(
    tmp_path: Path, python: str, words: list[str]
) -> None:
    code, text = _set_up(_clone(tmp_path / "clone"), "run", python=python, PYTHON="")
    assert code == 1
    assert len(text.splitlines()) == 1
    assert all(word in text for word in words), text
    assert not (tmp_path / "clone" / ".venv").exists()


@pytest.mark.parametrize(
    ("groups", "env", "word"),
    [
        ([], {}, "name what to set up"),
        (["everything"], {}, "unknown group 'everything'"),
        (["run"], {"PYTHON": "python9"}, "PYTHON=python9 cannot be run"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(
    tmp_path: Path, groups: list[str], env: dict[str, str], word: str
) -> None:
    code, text = _set_up(_clone(tmp_path / "clone"), *groups, **env)
    assert (code, len(text.splitlines())) == (1, 1)
    assert word in text


def test_nothing_is_done_when_the_stamps_fit(tmp_path: Path) -> None:
    """With fitting stamps the script ends before it would call pip or python."""
    clone = _clone(tmp_path / "clone")
    stamps = clone / ".venv" / ".pyeino"
    stamps.mkdir(parents=True)
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    inputs = b"".join(
        (clone / name).read_bytes()
        for name in ("pyproject.toml", "constraints.txt", "scripts/setup-venv.sh")
    )
    digest = subprocess.run(
        ["cksum"], input=f"{clone}\n".encode() + inputs, capture_output=True, check=True
    ).stdout.decode()
    for group in ("run", "test"):
        (stamps / group).write_text(digest)
    assert _set_up(clone, "test", python=ABSENT, PYTHON="") == (0, "")
    (stamps / "unfinished").touch()
    code, _ = _set_up(clone, "test", PYTHON="python9")
    assert code == 1, "an interrupted set-up is not taken for a finished one"
