"""Fit the calibration of an embedder, and print what a threshold of 0.7 gives on its scale.

    python scripts/fit_calibration.py [--folder docs] [--questions FILE …]

The first file of questions is fitted to, the others are only measured. A question has the source
that answers it, or null when nothing does. Steps: ingest the folder, take the best cosine of each
question, fit a logistic curve (Platt's smoothed targets, Newton's method), then shift it so that
0.7, the default threshold, lies where the two kinds of question are told apart best.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
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


async def measure(folder: Path, files: list[Path]) -> list[Sample]:
    """A sample for each file of questions, over one index of `folder`."""
    async with MiniLMEmbedder() as embedder, await SqliteDatabase.open(":memory:") as database:
        store = database.scope().passages
        splitter = HeadingSplitter(count_tokens=load_tokenizer().count)
        ingestor = Ingestor(store, embedder, model=embedder.model, splitter=splitter)
        report = await ingestor.ingest(folder)
        print(f"{len(report.added)} documents, {report.passages} passages")

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
    """The middle of the cosines at which answered and refused together are greatest."""
    cuts = np.linspace(0, 1, 1001)
    worth = np.array([sample.answered(cut) + sample.refused(cut) for cut in cuts])
    return float(cuts[worth == worth.max()].mean())


def fit(sample: Sample) -> Calibration:
    """The calibration whose similarity is THRESHOLD at the best cut."""
    slope, cut = fit_slope(sample), best_cut(sample)
    return Calibration(slope=slope, middle=cut - math.log(THRESHOLD / (1 - THRESHOLD)) / slope)


def main() -> None:
    """Fit, and print the curve and what it does."""
    parser = argparse.ArgumentParser(description="Fit the calibration of the local embedder.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    parser.add_argument("--questions", type=Path, nargs="+", default=[FITTED, HELD_OUT])
    arguments = parser.parse_args()
    samples = asyncio.run(measure(arguments.folder, arguments.questions))
    found = fit(samples[0])
    cut = found.cosine(THRESHOLD)
    print(f"slope {found.slope:.2f}, middle {found.middle:.4f}: 0.7 is the cosine {cut:.4f}")
    for file, sample in zip(arguments.questions, samples, strict=True):
        yes, no = int(sample.answerable.sum()), int((~sample.answerable).sum())
        print(
            f"{file.name}: answers {sample.answered(cut):.3f} of {yes}, "
            f"refuses {sample.refused(cut):.3f} of {no}"
        )


if __name__ == "__main__":
    main()
