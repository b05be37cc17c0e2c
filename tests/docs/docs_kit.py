"""Fences of the documentation, and how they are run."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DOCUMENTED_ADDRESS = "127.0.0.1:8080"
DOCUMENTED_DATABASE = "postgres://pyeino:your-password@db.example:5432/pyeino"
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
EXECUTED = {"python", "bash", "console"}
READ_ONLY = {"yaml", "json", "text"}  # shown, not run; yaml is checked as settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    code: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def fences_of(text: str, *, page: str) -> list[Fence]:
    """Every fenced block of a Markdown text; an open fence at the end is an error."""
    found: list[Fence] = []
    opened: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*```(\w*)\s*$", line)
        if opened is None:
            if mark:
                opened, lines = (number, mark.group(1)), []
        elif mark and not mark.group(1):
            code = "\n".join(lines) + "\n"
            found.append(Fence(page=page, line=opened[0], language=opened[1], code=code))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise ValueError(f"{page}:{opened[0]}: the fence is not closed")
    return found


def all_fences() -> list[Fence]:
    """Every fenced block of README and docs."""
    return [
        fence
        for page in PAGES
        for fence in fences_of(page.read_text(encoding="utf-8"), page=str(page.relative_to(ROOT)))
    ]


def commands_of(fence: Fence) -> list[str]:
    """The commands of a console block: its lines after `$ `, without their comments."""
    found = [line[2:] for line in fence.code.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+#.*$", "", command).strip() for command in found]


def only_exports(fence: Fence) -> bool:
    """True for a block that sets variables and does nothing else."""
    lines = [line for line in fence.code.splitlines() if line.strip()]
    return bool(lines) and all(line.startswith("export ") for line in lines)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a documented command: our programs first, curl fails on a refusal."""
    (folder / ".curlrc").write_text("max-time = 100\n")
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "CURL_HOME": str(folder),
        "PYEINO_DATABASE__URL": f"sqlite:///{folder}/docs.db",
    }


def run(command: list[str], *, folder: Path, timeout: float = 110) -> str:
    """Run a command in `folder`; its output. Fails with both outputs when it does not end well."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_bash(code: str, *, folder: Path) -> str:
    """Run a script that ends at its first failure."""
    return run(["bash", "-euo", "pipefail", "-c", code], folder=folder)


def run_python(code: str, *, folder: Path) -> str:
    """Run a program of its own, with warnings as errors."""
    file = folder / "documented.py"
    file.write_text(code)
    return run([sys.executable, "-W", "error", str(file)], folder=folder)


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when `url` answers 200; fails with the log when the server ends before that."""
    until = time.monotonic() + 100
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not become ready:\n{log.read_text()[-3000:]}")
