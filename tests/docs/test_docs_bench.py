"""Every benchmark runs and prints its table."""

import sys
from pathlib import Path

import pytest
from docs_kit import ROOT, run

QUICK = {
    "compose": ["--quick"],
    "pooling": ["--quick"],
    "openai_client": ["--rounds", "1", "--calls", "5", "--chunks", "20"],
}


def test_every_benchmark_is_run() -> None:
    assert {path.stem for path in (ROOT / "bench").glob("*.py")} == set(QUICK)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    output = run(
        [sys.executable, str(ROOT / "bench" / f"{name}.py"), *QUICK[name]], folder=tmp_path
    )
    assert output.count("|") > 10
