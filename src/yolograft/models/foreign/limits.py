"""How much a file from a stranger may ask for, and the walls around the process that reads it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps for one foreign file; the largest YOLO checkpoints stay below a tenth of each.

    file_bytes: the file. pickle_bytes: its description of the tensors. opcodes: steps of that description.
    text: one string or byte string in it. depth: modules inside modules.
    tensors: tensors, and modules visited. key: letters of a tensor's key. dims: dimensions of a tensor.
    copies: all tensors together may take this many times the file and a MiB, so that views which repeat one
    element do not fill the memory.
    facts: plain values kept beside the tensors. answer_bytes: what the reading process may write.
    seconds: wall clock of the reading process; cpu_seconds, memory (bytes): its own, where the platform
    can limit them.
    """

    file_bytes: int = 4096 * MIB
    pickle_bytes: int = 64 * MIB
    opcodes: int = 4_000_000
    text: int = 16 * MIB
    depth: int = 100
    tensors: int = 100_000
    key: int = 1000
    dims: int = 25
    copies: int = 4
    facts: int = 20_000
    answer_bytes: int = 256 * MIB
    seconds: float = 120.0
    cpu_seconds: int = 60
    memory: int = 1024 * MIB


def confine(limits: Limits) -> None:
    """Put this process behind walls: memory, processor time, files, children. Nothing where there are none.

    For a process that has imported all it needs: it can open no further file.
    """
    try:
        import resource
    except ImportError:
        # Windows: the parent's clock and the caps on the file itself remain.
        return
    walls = {
        "RLIMIT_AS": limits.memory,
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_FSIZE": limits.answer_bytes,
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": 3,
        "RLIMIT_CORE": 0,
    }
    for name, wanted in walls.items():
        try:
            kind = getattr(resource, name)
            _, hard = resource.getrlimit(kind)
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (value, value))
        except (AttributeError, ValueError, OSError):
            # Not every platform has every wall, and some refuse one they list.
            continue
