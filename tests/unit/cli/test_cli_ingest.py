"""pyeino ingest: what it says, and what it leaves in the index."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.cli import main


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYEINO_DATABASE__URL", f"sqlite:///{tmp_path}/p.db")
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nText.\n")
    (folder / "b.txt").write_text("More text.\n")
    return folder


def test_a_folder_is_indexed_and_left_alone_the_second_time(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", str(notes)]) == 0
    assert capsys.readouterr().err == "index default: 2 added; 2 passages\n"
    (notes / "b.txt").unlink()
    (notes / "c.png").write_bytes(b"x")
    assert main(["ingest", str(notes)]) == 0
    assert capsys.readouterr().err == (
        "index default: 1 unchanged, 1 removed, 1 skipped; 1 passages\n"
    )
    assert main(["ingest", str(notes), "--index", "other"]) == 0
    assert "index other: 1 added" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (notes / "b.txt").write_bytes(b"\xff\xff")
    assert main(["ingest", str(notes)]) == 1
    error = capsys.readouterr().err
    assert "1 added" in error
    assert "not read: notes/b.txt: " in error


def test_a_path_that_is_not_there_says_so(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", str(notes / "nowhere")]) == 1
    assert "There is no file or folder" in capsys.readouterr().err
    assert main(["ingest", str(notes), "--set", "rag.embedding.provider=none"]) == 1
    assert "RETRIEVAL_OFF" in capsys.readouterr().err
