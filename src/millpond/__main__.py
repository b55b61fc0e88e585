"""`python -m millpond` is the same program as `millpond`."""

from millpond.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
