"""One file per schema revision, forward only."""

__all__: list[str] = []
