"""pyeino version."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

from pyeino.cli._terminal import say


def show_version(_: argparse.Namespace) -> int:
    """Print the versions of pyeino and Python."""
    try:
        own = version("pyeino")
    except PackageNotFoundError:  # run from a source tree that is not installed
        own = "(not installed)"
    say(f"pyeino {own} (Python {platform.python_version()})")
    return 0
