"""The nets of conftest.py hold: planted tests that leave something behind or block are caught."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rule_kit import ROOT

PLANTED = """
import asyncio
import socket
import time

import pytest

import pyeino


async def _forever():
    await asyncio.Event().wait()


async def test_leaves_a_task():
    asyncio.get_running_loop().create_task(_forever(), name="orphan")


async def test_awaits_its_task():
    task = asyncio.create_task(asyncio.sleep(0))
    await task


async def test_leaves_a_socket():
    left = socket.socket()
    left.bind(("127.0.0.1", 0))


def test_leaves_a_file(tmp_path):
    left = open(tmp_path / "x", "w")


async def test_blocks_the_loop():
    ours = compile("def slow():\\n    time.sleep(0.001)", pyeino.__file__, "exec")
    names = {"time": time}
    exec(ours, names)
    names["slow"]()


async def test_blocks_outside_our_code():
    time.sleep(0.001)


def test_warns():
    import warnings
    warnings.warn("old", DeprecationWarning)


def test_skips():
    pytest.skip("no such tool: apt install it")


@pytest.mark.full
def test_takes_long():
    pass


def test_has_a_port(free_port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))


def test_knows_no_settings_of_the_developer():
    import os
    assert not [name for name in os.environ if name.startswith("PYEINO_") and "__" in name]
    assert "OPENAI_API_KEY" not in os.environ


def test_says_an_address():
    from pyeino.monitoring import Metrics
    metrics = Metrics()
    metrics.inc_chat_errors("ann.lee@example.com")
    metrics.render()


def test_is_seeded(seeded, tier, request):
    assert tier.seed == 7
    assert seeded.random() == type(seeded)(f"7:{request.node.nodeid}").random()
"""


def _run(folder: Path, *, processes: int = 0, **settings: str) -> tuple[dict[str, str], str]:
    shutil.copy(ROOT / "pyproject.toml", folder)
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "servers").mkdir()
    shutil.copy(ROOT / "tests" / "servers" / "leak_watch.py", tests / "servers")
    (tests / "test_planted.py").write_text(PLANTED)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rA", "--tb=short", "-p", "no:cacheprovider"),
            *("-n", str(processes), "tests"),
        ],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if "XDIST" not in name},
            "PYEINO_SEED": "7",
            "PYEINO_LLM__MODEL": "x",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED)\s+tests\S+::(\w+)", done.stdout, re.M)
    return {name: outcome for outcome, name in found}, done.stdout


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    return _run(tmp_path_factory.mktemp("fast"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    folder = tmp_path_factory.mktemp("full")
    # In processes of their own, which have to be of the same tier, and to have the same seed.
    return _run(
        folder, processes=2, PYEINO_TIER="full", PYEINO_REQUIRE="all", OPENAI_API_KEY="sk-x"
    )


@pytest.mark.parametrize(
    "name",
    [
        "leaves_a_task",
        "leaves_a_socket",
        "leaves_a_file",
        "blocks_the_loop",
        "warns",
        "says_an_address",
    ],
)
def test_a_planted_defect_is_caught(fast: tuple[dict[str, str], str], name: str) -> None:
    outcomes, text = fast
    assert outcomes[f"test_{name}"] in {"FAILED", "ERROR"}, text


@pytest.mark.parametrize(
    "name", ["awaits_its_task", "blocks_outside_our_code", "has_a_port", "is_seeded"]
)
def test_a_good_test_passes(fast: tuple[dict[str, str], str], name: str) -> None:
    outcomes, text = fast
    assert outcomes[f"test_{name}"] == "PASSED", text


def test_the_orphan_is_named(fast: tuple[dict[str, str], str]) -> None:
    assert "tasks without an owner" in fast[1]
    assert "orphan" in fast[1]


def test_tiers_and_required_tools(
    fast: tuple[dict[str, str], str], full: tuple[dict[str, str], str]
) -> None:
    assert "test_takes_long" not in fast[0]
    assert full[0]["test_takes_long"] == "PASSED", full[1]
    assert full[0]["test_skips"] == "FAILED", full[1]
    assert "1 skipped" in fast[1]


def test_the_developers_settings_do_not_reach_a_test(
    full: tuple[dict[str, str], str],
) -> None:
    assert full[0]["test_knows_no_settings_of_the_developer"] == "PASSED", full[1]


def test_the_seed_is_printed(fast: tuple[dict[str, str], str]) -> None:
    assert "seed 7 (PYEINO_SEED=7 repeats it)" in fast[1]
