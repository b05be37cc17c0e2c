"""Stream: an async iterator that is closed by whoever was handed it."""
