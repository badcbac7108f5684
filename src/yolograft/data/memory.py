"""How much memory this process may still use."""

from __future__ import annotations

from pathlib import Path

# Where the system does not say; small enough for any machine that trains.
_UNKNOWN = 4 << 30


def available_bytes() -> int:
    """Bytes that can be allocated without swapping, container limits included; 4 GiB when unknown."""
    available = _meminfo(Path("/proc/meminfo"))
    group = _number(Path("/sys/fs/cgroup/memory.max"))
    used = _number(Path("/sys/fs/cgroup/memory.current"))
    if group is not None and used is not None:
        available = min(available, max(group - used, 0))
    return available


def _meminfo(path: Path) -> int:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return _UNKNOWN


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
