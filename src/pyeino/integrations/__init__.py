"""One folder for each vendor or store, each with an extra of its own."""
