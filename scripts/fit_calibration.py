"""Fit the calibration of an embedder, and print what a threshold of 0.7 gives on its scale.

    python scripts/fit_calibration.py [--write] [--folder docs] [--with FOLDER …] [--questions …]

The first file of questions is fitted to, the others are only measured. A question has the source
that answers it, or null when nothing does. Steps: ingest the folder, take the best cosine of each
question, fit a logistic curve (Platt's smoothed targets, Newton's method), then shift it so that
0.7, the default threshold, lies where the worse told of the two kinds of question is told best:
in the middle of the range of cosines that do so, which leaves most room on both sides.

`--write` puts the curve into the package. `--with` measures once more with further folders in the
index, to see what more pages would do; nothing is fitted to them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyeino.integrations.onnx import MiniLMEmbedder, load_tokenizer
from pyeino.integrations.sql import SqliteDatabase
from pyeino.retrieval import DEFAULT_INDEX, Calibration, HeadingSplitter, Ingestor

ROOT = Path(__file__).resolve().parents[1]
FITTED = ROOT / "scripts" / "calibration_questions.jsonl"
HELD_OUT = ROOT / "tests" / "unit" / "retrieval" / "questions.jsonl"
CURVES = ROOT / "src" / "pyeino" / "retrieval" / "_calibration.py"
THRESHOLD = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The best cosine of each question, and whether the folder answers it."""

    cosines: NDArray[np.float64]
    answerable: NDArray[np.bool_]

    def answered(self, cosine: float) -> float:
        """The share of answerable questions that a threshold at `cosine` lets pass."""
        return float((self.cosines[self.answerable] >= cosine).mean())

    def refused(self, cosine: float) -> float:
        """The share of unanswerable questions that it refuses."""
        return float((self.cosines[~self.answerable] < cosine).mean())


async def measure(folders: Sequence[Path], files: Sequence[Path]) -> list[Sample]:
    """A sample for each file of questions, over one index of `folders`."""
    async with MiniLMEmbedder() as embedder, await SqliteDatabase.open(":memory:") as database:
        store = database.scope().passages
        splitter = HeadingSplitter(count_tokens=load_tokenizer().count)
        ingestor = Ingestor(store, embedder, model=embedder.model, splitter=splitter)
        # As scripts/run.sh does: that page is a list of names.
        left_out = ("from-the-guide*",)
        reports = [await ingestor.ingest(folder, exclude=left_out) for folder in folders]
        documents = sum(len(one.added) for one in reports)
        names = " and ".join(folder.name for folder in folders)
        passages = sum(one.passages for one in reports)
        print(f"{names}: {documents} documents, {passages} passages")

        async def best(question: str) -> float:
            (vector,) = await embedder.embed([question])
            found = await store.search_vectors(
                vector, index=DEFAULT_INDEX, model=embedder.model, limit=1
            )
            return found[0].score

        samples: list[Sample] = []
        for file in files:
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            samples.append(
                Sample(
                    cosines=np.array([await best(row["question"]) for row in rows]),
                    answerable=np.array([row["source"] is not None for row in rows]),
                )
            )
        return samples


def fit_slope(sample: Sample) -> float:
    """The slope of Platt's logistic curve over the cosines."""
    x, y = sample.cosines, sample.answerable
    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))
    weights = np.array([10.0, -4.0])
    columns = np.stack([x, np.ones_like(x)], axis=1)
    for _ in range(100):
        p = 1 / (1 + np.exp(-columns @ weights))
        hessian = (columns * (p * (1 - p) + 1e-9)[:, None]).T @ columns
        weights -= np.linalg.solve(hessian, columns.T @ (p - target))
    return float(weights[0])


def best_cut(sample: Sample) -> float:
    """The middle of the cosines at which the lesser of answered and refused is greatest."""
    cuts = np.linspace(0, 1, 1001)
    worth = np.array([min(sample.answered(cut), sample.refused(cut)) for cut in cuts])
    return float(cuts[worth == worth.max()].mean())


def fit(sample: Sample) -> Calibration:
    """The calibration whose similarity is THRESHOLD at the best cut."""
    slope, cut = fit_slope(sample), best_cut(sample)
    middle = cut - math.log(THRESHOLD / (1 - THRESHOLD)) / slope
    return Calibration(slope=round(slope, 2), middle=round(middle, 4))


def write(found: Calibration) -> None:
    """Put the curve of the local embedder into the package."""
    line = f'"{MiniLMEmbedder.model}": Calibration(slope={found.slope}, middle={found.middle})'
    before = CURVES.read_text(encoding="utf-8")
    after, count = re.subn(rf'"{MiniLMEmbedder.model}": Calibration\([^)]*\)', line, before)
    if count != 1:
        raise SystemExit(f"{CURVES} has no curve of {MiniLMEmbedder.model} to replace")
    CURVES.write_text(after, encoding="utf-8")


def tell(files: Sequence[Path], samples: Sequence[Sample], cut: float) -> None:
    """Print what a threshold at `cut` does to each file of questions."""
    for file, sample in zip(files, samples, strict=True):
        yes, no = int(sample.answerable.sum()), int((~sample.answerable).sum())
        print(
            f"  {file.name}: answers {sample.answered(cut):.3f} of {yes}, "
            f"refuses {sample.refused(cut):.3f} of {no}"
        )


def main() -> None:
    """Fit, and print the curve and what it does."""
    parser = argparse.ArgumentParser(description="Fit the calibration of the local embedder.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    parser.add_argument("--with", type=Path, nargs="+", default=[], dest="more")
    parser.add_argument("--questions", type=Path, nargs="+", default=[FITTED, HELD_OUT])
    parser.add_argument("--write", action="store_true", help="put the curve into the package")
    arguments = parser.parse_args()
    files: list[Path] = arguments.questions
    samples = asyncio.run(measure([arguments.folder], files))
    found = fit(samples[0])
    cut = found.cosine(THRESHOLD)
    print(f"slope {found.slope}, middle {found.middle}: 0.7 is the cosine {cut:.4f}")
    tell(files, samples, cut)
    if arguments.more:
        tell(files, asyncio.run(measure([arguments.folder, *arguments.more], files)), cut)
    if arguments.write:
        write(found)


if __name__ == "__main__":
    main()
