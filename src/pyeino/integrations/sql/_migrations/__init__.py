"""Alembic's scripts, shipped inside the package; `_migrate.py` runs them."""

__all__: list[str] = []
