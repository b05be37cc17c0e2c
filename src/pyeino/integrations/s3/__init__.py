"""Files of the application in a bucket of an S3-compatible service."""

from pyeino.integrations.s3._address import S3Address
from pyeino.integrations.s3._store import S3BlobStore

__all__ = ["S3Address", "S3BlobStore"]
