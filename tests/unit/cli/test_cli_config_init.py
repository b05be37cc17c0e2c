"""pyeino config init: a file that names everything, and never over somebody's own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pyeino.cli import main
from pyeino.wiring import documented_settings

ROOT = Path(__file__).parents[3]


def test_the_file_in_the_package_is_the_one_at_the_guides_path() -> None:
    documented = (ROOT / "configs" / "config.yaml").read_text(encoding="utf-8")
    assert documented_settings() == documented, (
        "copy configs/config.yaml to src/pyeino/wiring/config.yaml"
    )


def test_init_writes_a_file_that_check_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["config", "init"]) == 0
    written = tmp_path / "configs" / "config.yaml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert str(written.relative_to(tmp_path)) in capsys.readouterr().out
    assert main(["config", "check", "--config", str(written)]) == 0


def test_init_leaves_a_file_alone_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("server: {port: 9000}\n")
    assert main(["config", "init", str(own)]) == 1
    assert "--force" in capsys.readouterr().err
    assert own.read_text() == "server: {port: 9000}\n"
    assert main(["config", "init", str(own), "--force"]) == 0
    assert own.read_text() == documented_settings()


def test_init_says_why_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["config", "init", str(tmp_path / "file" / "config.yaml")]) == 1
    assert "cannot be written" in capsys.readouterr().err
