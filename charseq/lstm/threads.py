"""How many threads a process may have. No torch."""

import os


def told_threads() -> int | None:
    """What OMP_NUM_THREADS says: the first of its numbers, which is that of the outer loops."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) else None


def usable_cores() -> int:
    """Those that this process may run on, where the system says which these are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
