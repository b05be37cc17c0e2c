"""Real servers that the unit tests of several rooms use."""

from postgres_kit import postgres_server, postgres_server_of_module, postgres_url

__all__ = ["postgres_server", "postgres_server_of_module", "postgres_url"]
