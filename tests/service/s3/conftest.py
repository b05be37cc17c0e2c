"""A real server from a package; nothing is preinstalled."""

from s3_kit import s3_server

__all__ = ["s3_server"]
