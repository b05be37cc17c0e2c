"""Several processes on one SQLite file, as the workers of a server are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from pyeino.integrations.sql import SqliteDatabase

PROCESSES, WRITERS, TURNS = 3, 8, 20
PROGRAM = f"""
import asyncio, sys
from pyeino.integrations.sql import SqliteDatabase
from pyeino.schema import Role
from pyeino.stores import MessageStatus, NewMessage, TurnOutcome

async def write(scope, name):
    await scope.sessions.create(name, user_id="ann")
    for number in range({TURNS}):
        await turn(scope, name, f"{{name}}.{{number}}")
        await turn(scope, "shared", f"{{name}}.s{{number}}")

async def turn(scope, session, answer):
    asked = NewMessage(id=answer + "q", role=Role.USER, content=answer)
    await scope.messages.begin_turn(session, user_id="ann", messages=[asked], answer_id=answer)
    outcome = TurnOutcome(status=MessageStatus.COMPLETED, content="done")
    assert await scope.messages.finish_turn(answer, user_id="ann", outcome=outcome)
    assert (await scope.messages.get(answer, user_id="ann")).content == "done"

async def main():
    async with await SqliteDatabase.open(sys.argv[1]) as database:
        print("open", flush=True)
        sys.stdin.readline()
        scope = database.scope()
        async with asyncio.TaskGroup() as tasks:
            for number in range({WRITERS}):
                tasks.create_task(write(scope, f"{{sys.argv[2]}}-{{number}}"))

asyncio.run(main())
"""


def write_together(path: Path) -> list[int | None]:
    """All processes open the file, then all write at once, one session of it together."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path), f"p{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=100)
    return [process.returncode for process in running]


async def test_g87_writers_of_several_processes_lose_nothing_and_are_not_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "db"
    async with await SqliteDatabase.open(path) as database:
        await database.scope().sessions.create("shared", user_id="ann")
    assert await asyncio.to_thread(write_together, path) == [0] * PROCESSES
    async with await SqliteDatabase.open(path) as database:
        scope = database.scope()
        page = await scope.sessions.list(user_id="ann", limit=500)
        assert len(page.items) == 1 + PROCESSES * WRITERS
        for session in page.items:
            positions: list[int] = []
            cursor: str | None = None
            while positions == [] or cursor:
                found = await scope.messages.list(
                    session.id, user_id="ann", limit=500, cursor=cursor
                )
                positions += [message.position for message in found.items]
                cursor = found.cursor
            turns = PROCESSES * WRITERS * TURNS if session.id == "shared" else TURNS
            assert sorted(positions) == positions
            assert len(set(positions)) == len(positions) == 2 * turns
