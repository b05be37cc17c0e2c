"""Every benchmark runs and prints its table."""

import json
import sys
from pathlib import Path

import pytest
from docs_kit import ROOT, run

QUICK = {
    "compose": ["--quick"],
    "pooling": ["--quick"],
    "guide": ["--quick", "--results", "."],
    "server": ["--quick", "--results", "."],
    "retrieval": ["collection"],
    "openai_client": ["--rounds", "1", "--calls", "5", "--chunks", "20"],
}


def write_collection(folder: Path) -> None:
    """A test collection as `bench/retrieval.py` reads it, as small as it can be."""
    folder.mkdir()
    documents = [
        {"id": "1", "title": "Rivers", "text": "A river carries water to the sea."},
        {"id": "2", "title": "Taxes", "text": "A tax form is due in spring."},
    ]
    queries = [{"id": "q", "text": "Where does a river flow?", "relevant": ["1"]}]
    for name, rows in (("documents", documents), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)


def test_every_benchmark_is_run() -> None:
    assert {path.stem for path in (ROOT / "bench").glob("*.py")} == set(QUICK)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    write_collection(tmp_path / "collection")
    output = run(
        [sys.executable, str(ROOT / "bench" / f"{name}.py"), *QUICK[name]], folder=tmp_path
    )
    assert output.count("|") > 10
