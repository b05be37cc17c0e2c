"""Ingestion: twice is once, small changes cost little, gone files go, bad files stand aside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyeino.components import EmbedderOptions
from pyeino.errors import NotFoundError
from pyeino.integrations.sql import SqlPassageStore
from pyeino.retrieval import Ingestor, IngestProgress


class _Embedder:
    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        self.texts.extend(texts)
        return [[1.0 + len(text), 1.0] for text in texts]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text("---\nx: 1\n---\n# Alpha\n\nFirst.\n\n## Part\n\nSecond.\n")
    (root / "deep" / "b.txt").write_text("Plain text.\n")
    (root / ".hidden.md").write_text("# Hidden\n\nNo.\n")
    (root / "image.png").write_bytes(b"\x89PNG")
    return root


async def test_doing_it_again_changes_nothing(store: SqlPassageStore, folder: Path) -> None:
    embedder = _Embedder()
    ingestor = Ingestor(store, embedder, model="m")
    seen: list[IngestProgress] = []
    first = await ingestor.ingest(folder, on_progress=seen.append)
    assert first.added == ["notes/a.md", "notes/deep/b.txt"]
    assert first.skipped == ["notes/image.png"]
    assert (first.passages, first.embedded) == (3, 3)
    assert "Alpha > Part\nSecond." in embedder.texts
    assert (seen[-1].done, seen[-1].total) == (3, 3)
    before = await store.search_keywords("first second plain", index="default", limit=9)

    again = await ingestor.ingest(folder)
    assert again.unchanged == first.added
    assert (again.passages, again.embedded, len(embedder.texts)) == (3, 0, 3)
    assert await store.search_keywords("first second plain", index="default", limit=9) == before


async def test_a_change_embeds_only_what_it_touched(store: SqlPassageStore, folder: Path) -> None:
    embedder = _Embedder()
    ingestor = Ingestor(store, embedder, model="m")
    await ingestor.ingest(folder)
    (folder / "a.md").write_text("# Alpha\n\nFirst.\n\n## Part\n\nThird.\n")
    (folder / "deep" / "b.txt").unlink()
    report = await ingestor.ingest(folder)
    assert (report.changed, report.removed, report.embedded) == (
        ["notes/a.md"],
        ["notes/deep/b.txt"],
        1,
    )
    assert await store.search_keywords("second plain", index="default", limit=9) == []
    assert len(await store.search_keywords("third first", index="default", limit=9)) == 2


async def test_another_model_embeds_anew(store: SqlPassageStore, folder: Path) -> None:
    await Ingestor(store, _Embedder(), model="m").ingest(folder)
    report = await Ingestor(store, _Embedder(), model="n").ingest(folder)
    assert report.embedded == 3


async def test_a_folder_within_a_folder_is_not_a_second_copy(
    store: SqlPassageStore, folder: Path
) -> None:
    ingestor = Ingestor(store, _Embedder(), model="m")
    await ingestor.ingest(folder)
    inner = await ingestor.ingest(folder / "deep")
    single = await ingestor.ingest(folder / "a.md")
    assert (inner.unchanged, inner.removed) == (["deep/b.txt"], [])
    assert (single.unchanged, single.removed) == (["notes/a.md"], [])
    assert len(await store.documents(index="default")) == 2


async def test_what_is_left_out_leaves_the_index(store: SqlPassageStore, folder: Path) -> None:
    ingestor = Ingestor(store, _Embedder(), model="m")
    await ingestor.ingest(folder)
    report = await ingestor.ingest(folder, exclude=("*.png", "deep/*"))
    assert (report.unchanged, report.skipped) == (["notes/a.md"], [])
    assert report.removed == ["notes/deep/b.txt"]
    assert (await ingestor.ingest(folder, exclude=("b.txt",))).added == ["notes/deep/b.txt"]


async def test_an_origin_lets_a_folder_move(
    store: SqlPassageStore, folder: Path, tmp_path: Path
) -> None:
    ingestor = Ingestor(store, _Embedder(), model="m")
    await ingestor.ingest(folder, origin="ours")
    moved = tmp_path / "moved"
    os.rename(folder, moved)
    report = await ingestor.ingest(moved, origin="ours")
    assert (len(report.unchanged), report.added, report.removed) == (2, [], [])


async def test_a_file_that_cannot_be_read_keeps_what_was_known(
    store: SqlPassageStore, folder: Path
) -> None:
    ingestor = Ingestor(store, _Embedder(), model="m")
    await ingestor.ingest(folder)
    (folder / "deep" / "b.txt").write_bytes(b"\xff\xfe\x00broken")
    report = await ingestor.ingest(folder)
    assert list(report.failed) == ["notes/deep/b.txt"]
    assert "utf-8" in report.failed["notes/deep/b.txt"]
    assert report.unchanged == ["notes/a.md"]
    assert len(await store.search_keywords("plain", index="default", limit=9)) == 1


async def test_the_same_text_twice_is_two_passages(store: SqlPassageStore, tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("# T\n\nSame.\n\n# T\n\nSame.\n")
    report = await Ingestor(store, _Embedder(), model="m").ingest(tmp_path)
    assert (report.passages, report.embedded) == (2, 2)


async def test_a_link_out_of_the_folder_is_not_followed(
    store: SqlPassageStore, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_text("# Secret\n\nNo.\n")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    report = await Ingestor(store, _Embedder(), model="m").ingest(folder)
    assert report.added == ["notes/a.md", "notes/deep/b.txt"]


async def test_a_missing_path_says_so(store: SqlPassageStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="FILE_NOT_FOUND"):
        await Ingestor(store, _Embedder(), model="m").ingest(tmp_path / "nowhere")


async def test_a_cancelled_ingestion_has_stored_whole_documents(
    store: SqlPassageStore, folder: Path
) -> None:
    begun = asyncio.Event()

    class _Stuck(_Embedder):
        async def embed(
            self, texts: Sequence[str], *, options: EmbedderOptions | None = None
        ) -> list[list[float]]:
            if any("Plain" in text for text in texts):
                begun.set()
                await asyncio.Event().wait()
            return await super().embed(texts, options=options)

    call = asyncio.create_task(Ingestor(store, _Stuck(), model="m").ingest(folder))
    async with asyncio.timeout(30):
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    stored = [one.source for one in await store.documents(index="default")]
    assert stored in ([], ["notes/a.md"])  # files are read side by side
    report = await Ingestor(store, _Embedder(), model="m").ingest(folder)
    assert report.unchanged == stored
    assert len(report.added) == 2 - len(stored)
