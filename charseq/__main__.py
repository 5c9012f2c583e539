"""The entry point: ``charseq``, and ``python -m charseq``."""

import sys


def main() -> None:
    """Run a command; Ctrl-C ends it without a word, also while it is still being imported."""
    try:
        from charseq.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
