"""Files of the application in a local folder; needs nothing installed."""

from pyeino.integrations.files._store import LocalBlobStore

__all__ = ["LocalBlobStore"]
