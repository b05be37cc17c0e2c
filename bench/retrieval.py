"""How well passages are found: nDCG@10, recall@20 and MRR of each leg and of both together.

    make bench WHAT=retrieval ARGS="FOLDER [--quick]"

FOLDER holds a test collection: documents.jsonl (id, title, text) and queries.jsonl (id, text,
relevant: ids of documents). A document's rank is that of its best passage. Indexing runs the real
embedder, some 20 passages a second on one core; --quick takes every fifth query.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyeino.components import Retriever, RetrieverOptions
from pyeino.integrations.onnx import MiniLMEmbedder, load_tokenizer
from pyeino.integrations.sql import SqliteDatabase
from pyeino.retrieval import (
    HeadingSplitter,
    HybridRetriever,
    HybridRetrieverConfig,
    Ingestor,
    KeywordRetriever,
    QueryVectors,
    VectorRetriever,
)

DEPTH = 60


@dataclass(slots=True)
class Score:
    """Sums over queries."""

    ndcg: float = 0.0
    recall: float = 0.0
    mrr: float = 0.0
    seconds: float = 0.0
    queries: int = 0

    def add(self, found: list[str], relevant: set[str]) -> None:
        gains = [one in relevant for one in found]
        best = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
        self.ndcg += sum(hit / math.log2(rank + 2) for rank, hit in enumerate(gains[:10])) / best
        self.recall += sum(gains[:20]) / len(relevant)
        self.mrr += next((1 / (rank + 1) for rank, hit in enumerate(gains) if hit), 0.0)
        self.queries += 1


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_documents(documents: list[dict[str, Any]], folder: Path) -> None:
    for one in documents:
        (folder / f"{one['id']}.md").write_text(f"# {one['title']}\n\n{one['text']}\n")


async def measure(retriever: Retriever, queries: list[dict[str, Any]]) -> Score:
    score = Score()
    for query in queries:
        started = time.perf_counter()
        found = await retriever.retrieve(query["text"], options=RetrieverOptions(top_k=DEPTH))
        score.seconds += time.perf_counter() - started
        names = [str(one.meta_data["source"]).rpartition("/")[2][:-3] for one in found]
        score.add(list(dict.fromkeys(names)), set(query["relevant"]))
    return score


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the quality of retrieval.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    queries = rows(arguments.folder / "queries.jsonl")[:: 5 if arguments.quick else 1]
    tokenizer = load_tokenizer()
    with tempfile.TemporaryDirectory() as place:
        write_documents(rows(arguments.folder / "documents.jsonl"), Path(place))
        async with MiniLMEmbedder() as embedder, await SqliteDatabase.open(":memory:") as database:
            store = database.scope().passages
            splitter = HeadingSplitter(count_tokens=tokenizer.count)
            ingestor = Ingestor(store, embedder, model=embedder.model, splitter=splitter)
            started = time.perf_counter()
            report = await ingestor.ingest(place)
            seconds = time.perf_counter() - started
            print(f"{len(report.added)} documents, {report.passages} passages in {seconds:.0f} s")
            vectors = QueryVectors(embedder, model=embedder.model)
            vector, keyword = VectorRetriever(store, vectors), KeywordRetriever(store)

            def both(**settings: Any) -> HybridRetriever:
                legs = {"vector_retriever": vector, "keyword_retriever": keyword}
                return HybridRetriever(HybridRetrieverConfig(**legs, **settings))

            print("| retriever | nDCG@10 | recall@20 | MRR | ms a query |")
            print("|---|---|---|---|---|")
            for name, retriever in {
                "vector": vector,
                "keyword": keyword,
                "hybrid, weighted 0.7/0.3": both(),
                "hybrid, weighted 0.5/0.5": both(vector_weight=0.5, keyword_weight=0.5),
                "hybrid, rrf 1/1": both(fusion="rrf", vector_weight=1.0, keyword_weight=1.0),
            }.items():
                score = await measure(retriever, queries)
                count = score.queries
                print(
                    f"| {name} | {score.ndcg / count:.3f} | {score.recall / count:.3f} "
                    f"| {score.mrr / count:.3f} | {1000 * score.seconds / count:.1f} |"
                )


if __name__ == "__main__":
    asyncio.run(main())
