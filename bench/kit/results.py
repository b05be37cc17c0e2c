"""Rows of a benchmark: a Markdown table for people, one JSON object a line for programs."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one subject; None where it was not measured."""

    workload: str
    subject: str
    version: str
    value: float
    unit: str
    cpu_us: float | None = None
    wall_us: float | None = None
    ratio_to_hand: float | None = None
    run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a benchmark was asked to run."""

    quick: bool
    results: Path


def options_of(description: str | None) -> Options:
    """--quick or QUICK=1: a small run that shows that it works; --results FOLDER."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small run (also QUICK=1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSONL file")
    given = parser.parse_args()
    quick = given.quick or os.environ.get("QUICK", "") not in ("", "0")
    return Options(quick=quick, results=given.results)


def print_table(rows: Sequence[Row]) -> None:
    """The rows as Markdown."""
    print("| workload | subject | value | unit | CPU µs | wall µs | to hand |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        figures = (row.cpu_us, row.wall_us, row.ratio_to_hand)
        shown = " | ".join("" if one is None else f"{one:.2f}" for one in figures)
        print(f"| {row.workload} | {row.subject} | {row.value:.2f} | {row.unit} | {shown} |")


def write_rows(rows: Sequence[Row], *, name: str, folder: Path) -> Path:
    """Write `folder/name.jsonl`, of this run only, under one run id; where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    run_id = uuid.uuid4().hex
    path = folder / f"{name}.jsonl"
    lines = (json.dumps(asdict(row) | {"run_id": run_id}) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def median(values: Sequence[float]) -> float:
    """The median; of interleaved rounds, it is what noise moves least."""
    return statistics.median(values)
