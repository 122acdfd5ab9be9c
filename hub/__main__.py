"""The command `hub`, and `python -m hub`."""

from __future__ import annotations


def main() -> None:
    """Loads the command line and runs it. Ctrl-C ends it quietly, also while it is being loaded: a second on a Pi."""
    try:
        from hub import cli

        cli.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
