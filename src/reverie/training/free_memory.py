"""How much memory this process may still allocate."""

import os
from pathlib import Path


def available() -> float:
    """Return the bytes that this process may still allocate.

    That is the machine's free memory, or less where the process's control group has a limit.
    """
    found = [_meminfo(), _group("memory.max", "memory.current"), _sysconf()]
    return min((value for value in found if value is not None), default=float("inf"))


def _meminfo() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _group(most: str, now: str) -> float | None:
    folder = Path("/sys/fs/cgroup")
    try:
        return float((folder / most).read_text()) - float((folder / now).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _sysconf() -> float | None:
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
