"""Commands of charseq, as benchmarks run them."""

import subprocess
import sys


def charseq(*arguments: str) -> str:
    """Run a command; gives what it printed, and leaves with its error when it fails."""
    command = [sys.executable, "-m", "charseq", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise SystemExit(result.returncode)
    return result.stdout
