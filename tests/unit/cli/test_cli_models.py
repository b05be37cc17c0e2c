"""pyeino models: what is there, where it is, and how it gets there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.cli import main
from pyeino.integrations.llamacpp import DEFAULT_MODEL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYEINO_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.mark.usefixtures("folder")
def test_a_model_that_is_absent_is_listed_and_says_how_to_fetch_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "list"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(DEFAULT_MODEL)
    assert "98.4 MB  absent" in line
    assert main(["models", "path"]) == 1
    error = capsys.readouterr().err
    assert f"fetch it with: pyeino models pull {DEFAULT_MODEL}" in error


def test_models_that_are_there_are_listed_and_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir()
    (folder / "own.gguf").write_bytes(b"x" * 2_000)
    assert main(["models", "list"]) == 0
    assert "2.0 kB  there" in capsys.readouterr().out
    assert main(["models", "path", "own"]) == 0
    assert capsys.readouterr().out == f"{folder / 'own.gguf'}\n"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["models", "pull", "nonsense"], "MODEL_NOT_FOUND"),
        (["models", "pull", "http://127.0.0.1:9/m.gguf", "--sha256", "ab"], "INVALID_CHECKSUM"),
        (["models", "path", "nonsense"], "MODEL_NOT_FOUND"),
    ],
)
def test_what_cannot_be_fetched_is_one_message(
    argv: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("folder")
def test_serving_without_the_model_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"database.url=sqlite:///{tmp_path}/p.db"
    assert main(["chat", "hello", "--set", database]) == 1
    assert f"pyeino models pull {DEFAULT_MODEL}" in capsys.readouterr().err
    assert main(["serve", "--port", "0", "--set", database]) == 1
    assert f"pyeino models pull {DEFAULT_MODEL}" in capsys.readouterr().err
