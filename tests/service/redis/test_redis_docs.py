"""The documented program for Redis runs on a real server."""

from __future__ import annotations

from pathlib import Path

from docs_kit import ROOT, fences_of, run_python


def test_the_documented_cache_on_redis_works(redis_url: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "caching.md").read_text(encoding="utf-8")
    (fence,) = [one for one in fences_of(page, page="caching.md") if "RedisDatabase" in one.code]
    program = f"import asyncio\n{fence.code}\nasyncio.run(use({redis_url!r}))\n"
    run_python(program, folder=tmp_path)
