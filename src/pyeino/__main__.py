"""`python -m pyeino` is the command `pyeino`."""

from pyeino.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
