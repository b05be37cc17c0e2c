"""One folder for each vendor or store, each with an extra of its own."""

__all__: list[str] = []
