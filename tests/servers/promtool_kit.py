"""promtool, which comes with Debian's package `prometheus`."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def check_metrics(text: str) -> str:
    """What promtool finds in a scrape; "" when nothing. Skips where there is no promtool."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is missing: apt install prometheus")
    done = subprocess.run(
        [tool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=60
    )
    return (done.stdout + done.stderr).decode().strip()
