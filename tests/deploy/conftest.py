"""Real servers that the tests of the deployment files use."""

from postgres_kit import postgres_server, postgres_server_of_module, postgres_url

__all__ = ["postgres_server", "postgres_server_of_module", "postgres_url"]
