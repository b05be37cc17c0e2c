"""`pyeino ingest` and `pyeino serve` on a real PostgreSQL with pgvector: answers with citations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from postgres_kit import PostgresServer, run_server
from service_kit import Served, Start

QUESTION = "How hot should the water for green tea be?"
UNRELATED = "Who won the match yesterday?"
CALLS = 'eino_component_calls_total{component_name="retrieve",component_type="Retriever"}'


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    yield from run_server()


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.url(postgres.make_database())


def _ingest(url: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyeino", "ingest", str(folder), "--origin", "notes"],
        cwd=folder.parent,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def served(start: Start, url: str, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server whose index was filled by another process before."""
    notes = tmp_path_factory.mktemp("ingested") / "notes"
    notes.mkdir()
    (notes / "tea.md").write_text("# Tea\n\nGreen tea wants water of 80 degrees, two minutes.\n")
    (notes / "bread.md").write_text("# Bread\n\nBake it for 45 minutes in a hot oven.\n")
    assert "2 added" in _ingest(url, notes)
    assert "2 unchanged" in _ingest(url, notes)
    return start(PYEINO_DATABASE__URL=url, PYEINO_LLM__MAX_TOKENS="16")


def _ask(served: Served, message: str, **options: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat",
        json.dumps({"user_id": "ann", "message": message, "options": options}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=100) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_a_question_is_answered_from_documents_with_citations(served: Served) -> None:
    answer = _ask(served, QUESTION)
    assert answer["metadata"]["chain"] == "rag"
    (tea, *_) = answer["metadata"]["citations"]
    assert tea["source"] == "notes/tea.md"
    assert tea["score"] >= 0.7
    assert "80 degrees" in tea["text"]


def test_a_question_about_something_else_is_not(served: Served) -> None:
    assert _ask(served, UNRELATED)["metadata"]["chain"] == "plain"
    unknown = _ask(served, UNRELATED, chain="rag")
    assert unknown["content"].startswith("I don't know")
    assert unknown["metadata"]["citations"] == []


def test_the_official_client_finds_the_source(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": QUESTION}], max_tokens=8
        )
    annotations = answer.choices[0].message.annotations or []
    assert [one.url_citation.url for one in annotations][:1] == ["notes/tea.md"]


def test_looking_up_is_counted_as_a_component(served: Served) -> None:
    before = served.metric(CALLS)
    _ask(served, QUESTION)
    assert served.metric(CALLS) == before + 1


def test_what_is_ingested_while_it_serves_is_found(
    served: Served, url: str, tmp_path: Path
) -> None:
    more = tmp_path / "notes"
    more.mkdir()
    (more / "soup.md").write_text("# Soup\n\nPea soup needs three hours on a low flame.\n")
    done = subprocess.run(
        [sys.executable, "-m", "pyeino", "ingest", str(more), "--origin", "more"],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = _ask(served, "How long does pea soup need?")
    assert [one["source"] for one in found["metadata"]["citations"]][:1] == ["notes/soup.md"]
