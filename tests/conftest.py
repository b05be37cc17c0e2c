"""What holds for every test: nothing left behind, no blocked loop, one seed, two tiers.

- A task still pending when a test's event loop closes fails that test; so does a stream, a socket
  or a file that is garbage-collected while open (it warns, and warnings are errors).
- A blocking call made by our own code inside an event loop raises `blockbuster.BlockingError`.
- Whatever is logged, counted or traced during the run is searched for secrets and personal data
  (`tests/servers/leak_watch.py`); a find fails the test that emitted it.
- `PYEINO_TIER=full` runs everything with full counts; without it browser tests and tests marked
  `full` are left out. `PYEINO_SEED` repeats a run; it is printed at the top of every run.
- `PYEINO_REQUIRE=all` turns a skip into a failure: a machine that must show everything may not
  pass because a tool is missing.
"""

from __future__ import annotations

import asyncio
import asyncio.runners
import gc
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import hypothesis.core
import pytest
from blockbuster import BlockBuster
from hypothesis import is_hypothesis_test
from leak_watch import LeakWatch

GRACE_SECONDS = 0.5
_SHARED_RUN = "RUN_OF_THE_TESTS"
FOREIGN_SETTINGS = (
    "ENV",
    "LOG_LEVEL",
    "PORT",
    "DATABASE_URL",
    "REDIS_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How much is run: the one place that counts come from."""

    name: str
    seed: int
    examples: int
    fault_seeds: int
    require_all: bool


def _read_tier() -> Tier:
    # What the first process has read is handed on to those that it starts to share the work.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.update(json.loads(os.environ[_SHARED_RUN]))
    name = os.environ.pop("PYEINO_TIER", "fast")
    if name not in {"fast", "full"}:
        raise pytest.UsageError(f"PYEINO_TIER is {name!r}: expected 'fast' or 'full'")
    seed = int(os.environ.pop("PYEINO_SEED", "") or random.SystemRandom().randrange(2**32))
    require = os.environ.pop("PYEINO_REQUIRE", "")
    full = name == "full"
    run = {"PYEINO_TIER": name, "PYEINO_SEED": str(seed), "PYEINO_REQUIRE": require}
    os.environ[_SHARED_RUN] = json.dumps(run)
    return Tier(
        name=name,
        seed=seed,
        examples=400 if full else 60,
        fault_seeds=25 if full else 5,
        require_all=require == "all",
    )


# The settings of this run are taken out of the environment, so that no test and no server that a
# test starts is configured by what the developer happens to have set.
TIER = _read_tier()
for _name in [n for n in os.environ if n.startswith("PYEINO_") and "__" in n]:
    del os.environ[_name]
for _name in FOREIGN_SETTINGS:
    os.environ.pop(_name, None)

collect_ignore = [] if TIER.name == "full" else ["browser"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the hypothesis profile, and fix the seed of this run."""
    config.addinivalue_line("markers", "full: takes long; only run by make test-all")
    hypothesis.settings.register_profile(
        "pyeino",
        max_examples=TIER.examples,
        deadline=None,  # two shared cores: a slow example is no defect
        print_blob=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("pyeino")
    hypothesis.core.global_force_seed = TIER.seed


def pytest_report_header() -> str:
    """Print what is needed to repeat this run."""
    return (
        f"pyeino: tier {TIER.name}, {TIER.examples} examples a property, "
        f"seed {TIER.seed} (PYEINO_SEED={TIER.seed} repeats it)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make test-all`."""
    if TIER.name == "full":
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


def pytest_collection_finish() -> None:
    """Take what is loaded by now out of later collections: one collection a test stays cheap."""
    gc.collect()
    gc.freeze()


# --- a skip is a failure where everything is required -------------------------------------------


def skip_is_failure(outcome: str, *, was_xfail: bool, require_all: bool) -> bool:
    """True when a skipped test has to count as failed."""
    return require_all and outcome == "skipped" and not was_xfail


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the report passes through
    """Turn a skip into a failure under PYEINO_REQUIRE=all."""
    report = yield
    if skip_is_failure(
        report.outcome, was_xfail=hasattr(report, "wasxfail"), require_all=TIER.require_all
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, but PYEINO_REQUIRE=all: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a whole module that skips itself."""
    report = yield
    if skip_is_failure(report.outcome, was_xfail=False, require_all=TIER.require_all):
        report.outcome = "failed"
        report.longrepr = f"skipped, but PYEINO_REQUIRE=all: {report.longrepr}"
    return report


# --- nothing is left behind ----------------------------------------------------------------------

LEAKS = LeakWatch()
_leaked_tasks: list[str] = []
_cancel_all_tasks = asyncio.runners._cancel_all_tasks


def pending_tasks(loop: asyncio.AbstractEventLoop, grace: float) -> list[str]:
    """Descriptions of the tasks that are still pending after `grace` seconds on `loop`."""
    until = time.monotonic() + grace
    while asyncio.all_tasks(loop) and time.monotonic() < until:
        loop.run_until_complete(asyncio.sleep(0.001))
    return [f"{task.get_name()}: {task.get_coro()}" for task in asyncio.all_tasks(loop)]


def _note_and_cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
    _leaked_tasks.extend(pending_tasks(loop, GRACE_SECONDS))
    _cancel_all_tasks(loop)


asyncio.runners._cancel_all_tasks = _note_and_cancel_all_tasks


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Fail a test that left a task; collect, so that what it left open warns now and not later.

    Last among the teardowns, after every fixture, and just before pytest looks for exceptions
    that were raised where nobody could catch them.
    """
    gc.collect()
    if nextitem is None or nextitem.path != item.path:
        gc.freeze()  # what a module imported stays: later collections need not look at it
    if _leaked_tasks:
        names = "\n  ".join(_leaked_tasks)
        _leaked_tasks.clear()
        pytest.fail(f"tasks without an owner, still pending at the end:\n  {names}", pytrace=False)
    if is_hypothesis_test(getattr(item, "obj", None)):
        LEAKS.found.clear()  # any text is logged there, and some of it looks like a card number
    if LEAKS.found:
        found = "\n  ".join(LEAKS.found[:10])
        LEAKS.found.clear()
        pytest.fail(f"private data was logged, counted or traced:\n  {found}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def nothing_private_is_said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search all that is emitted in this process, and at the end the logs of the servers."""
    yield from LEAKS.watching()
    LEAKS.look_into_logs(tmp_path_factory.getbasetemp())
    assert not LEAKS.found, LEAKS.found


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Let a blocking call of our own code raise when an event loop runs in the same thread.

    Locks are left out: one held for microseconds is how a thread and the loop share a counter.
    """
    import pyeino

    detector = BlockBuster(scanned_modules=[pyeino])
    for name, function in detector.functions.items():
        if not name.startswith("threading."):
            # The driver looks for a password file and certificates, once for each connection.
            function.can_block_in("asyncpg/connect_utils.py", {"_parse_connect_arguments"})
            function.activate()
    yield
    detector.deactivate()


# --- what tests ask for --------------------------------------------------------------------------


def find_free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment."""
    return find_free_port()


@pytest.fixture(scope="session")
def local_model() -> Path:
    """The weights of the default local model, fetched into the user's cache when not there."""
    from pyeino.integrations.llamacpp import DEFAULT_MODEL, pull

    return pull(DEFAULT_MODEL)


@pytest.fixture
def leaks() -> LeakWatch:
    """The search that goes on during the whole run."""
    return LEAKS


@pytest.fixture
def tier() -> Tier:
    """How much this run does: examples, fault seeds, the seed itself."""
    return TIER


@pytest.fixture
def seeded(request: pytest.FixtureRequest) -> random.Random:
    """A random generator that depends on the run's seed and the test's name only."""
    return random.Random(f"{TIER.seed}:{request.node.nodeid}")


@pytest.fixture(params=range(TIER.fault_seeds), ids=lambda number: f"fault{number}")
def fault_seed(request: pytest.FixtureRequest) -> int:
    """One of the seeds of a fault test: few of them in `make test`, all of them in `test-all`."""
    return TIER.seed + int(request.param)
