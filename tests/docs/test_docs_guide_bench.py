"""The guide's benchmarks measure what they say, and stop at the first wrong result."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from docs_kit import ROOT, run

from pyeino import Chain, Message, ModelOptions
from pyeino.errors import DeclarationError


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """bench/guide.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    spec = importlib.util.spec_from_file_location("guide_bench", ROOT / "bench" / "guide.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "guide_bench", module)  # dataclasses look it up
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name == "kit" or name.startswith("kit.")]:
        del sys.modules[name]


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "guide.jsonl").read_text().splitlines()]


def test_g140_four_different_workloads_and_rows_of_one_run(tmp_path: Path) -> None:
    for _ in range(2):
        run(
            [sys.executable, str(ROOT / "bench" / "guide.py"), "--quick", "--results", "."],
            folder=tmp_path,
        )
    rows = rows_of(tmp_path)
    workloads = {str(row["workload"]).split()[0] for row in rows}
    assert workloads == {"chain", "stream", "concurrent", "memory"}
    assert {row["subject"] for row in rows} == {"hand", "pyeino"}
    assert len({row["run_id"] for row in rows}) == 1  # of the latest run only
    assert {tuple(row) for row in rows} == {
        (
            *("workload", "subject", "version", "value", "unit"),
            *("cpu_us", "wall_us", "ratio_to_hand", "run_id"),
        )
    }


async def test_g140_the_first_wrong_result_ends_the_benchmark(
    guide: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wrong(messages: Sequence[Message], *, options: ModelOptions | None = None) -> Message:
        return Message.assistant("something else")

    await guide.chain_hand()
    monkeypatch.setattr(guide.MODEL, "generate", wrong)
    with pytest.raises(guide.WrongResultError, match="something else"):
        await guide.chain_hand()
    with pytest.raises(ExceptionGroup) as raised:
        await guide.at_once(guide.answer_by_hand)()
    assert raised.group_contains(guide.WrongResultError)


async def test_g141_memory_is_that_of_a_run_through_the_framework(guide: ModuleType) -> None:
    plain = await guide.held_by(guide.ANSWER.invoke, runs=10)
    by_hand = await guide.held_by(guide.answer_by_hand, runs=10)
    assert plain.bytes > by_hand.bytes > 0
    assert plain.blocks > by_hand.blocks > 0

    async def heavy(text: str) -> str:
        held = [bytes(1_000) for _ in range(200)]  # what a run keeps while its model answers
        answer = await guide.ANSWER.invoke(text)
        return f"{answer}{len(held)}"

    found = await guide.held_by(Chain(str).then(heavy).compile().invoke, runs=10)
    assert found.bytes > plain.bytes + 200_000
    assert found.blocks >= plain.blocks + 200
    assert found.peak >= found.bytes
    assert found.left < 10_000


async def test_g142_a_node_is_named_by_an_option() -> None:
    async def process(text: str) -> str:
        return f"processed: {text}"

    named = Chain(str).then(process, name="processor").compile()
    assert await named.invoke("x") == "processed: x"
    with pytest.raises((TypeError, DeclarationError)):
        Chain(str).then("processor", process)  # type: ignore[call-overload]  # the guide's order


@pytest.mark.full
def test_n14_flame_graphs_of_a_served_request_and_of_a_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.exists():
        pytest.skip("py-spy is missing: make profile sets it up")
    monkeypatch.setenv("QUICK", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT / 'bench'}")
    run([sys.executable, str(ROOT / "scripts" / "flame.py"), "guide", "."], folder=tmp_path)
    for name, frame in (
        ("request", "pyeino/service"),
        ("stream", "pyeino/server/_stream.py"),
        ("guide", "pyeino/compose"),
    ):
        text = (tmp_path / f"flame-{name}.svg").read_text()
        assert "<svg" in text
        assert frame in text, f"flame-{name}.svg has no frame of {frame}"
