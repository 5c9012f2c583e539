"""Commands of charseq, as benchmarks run them."""

import os
import subprocess
import sys
from collections.abc import Sequence


def charseq(arguments: Sequence[str], threads: int | None = None) -> str:
    """Run a command, with so many threads; gives what it printed, or leaves with its error."""
    command = [sys.executable, "-m", "charseq", *arguments]
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{result.stderr}")
    return result.stdout
