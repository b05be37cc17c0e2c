"""The real weights, fetched once into the usual models folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyeino.errors import AppError
from pyeino.integrations.llamacpp import DEFAULT_MODEL, pull


@pytest.fixture(scope="session")
def weights() -> Path:
    """The file of the built-in model."""
    pytest.importorskip("xllamacpp", reason="install it with: pip install 'pyeino[local]'")
    try:
        return pull(DEFAULT_MODEL)
    except AppError as error:
        pytest.skip(f"the weights cannot be fetched here ({error}); try: pyeino models pull")
