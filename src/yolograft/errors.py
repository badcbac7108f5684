"""Errors a user can act on: a stable code, the place, the cause and the fix, in one line.

Codes are grouped by room: YG1xx expressions and specs, YG2xx modules and builds, YG3xx data,
YG4xx checkpoints and run folders, YG5xx training, YG6xx studies, YG7xx the machine.
"""

from __future__ import annotations

MAX_LINE = 240


class YolograftError(Exception):
    """Base of every error with a message for the user.

    Args:
        code: stable message code such as ``YG103``.
        cause: what is wrong, naming expected and actual values.
        where: ``file:line`` or another place the user can open; may be empty.
        fix: what to do about it; may be empty.
    """

    exit_code = 2

    def __init__(self, code: str, cause: str, *, where: str = "", fix: str = "") -> None:
        self.code, self.cause, self.where, self.fix = code, cause, where, fix
        super().__init__(self.line())

    def line(self) -> str:
        """The whole message as one line of at most 240 characters; the cause is shortened first."""
        head = f"{self.code} {self.where}: " if self.where else f"{self.code} "
        tail = f" -> {self.fix}" if self.fix else ""
        cause = " ".join(self.cause.split())
        room = max(MAX_LINE - len(head) - len(tail), 40)
        if len(cause) > room:
            cause = cause[: room - 3] + "..."
        return (head + cause + tail)[:MAX_LINE]


class SpecError(YolograftError):
    """A graft expression, a model file or a model spec is wrong (YG1xx)."""


class ModuleError(YolograftError):
    """A module cannot be found, built or grafted as asked (YG2xx)."""


class DataError(YolograftError):
    """A dataset cannot be read as asked (YG3xx)."""


class CheckpointError(YolograftError):
    """A checkpoint or run folder is missing, damaged or does not fit (YG4xx)."""


class TrainError(YolograftError):
    """Training cannot go on (YG5xx)."""


class StudyError(YolograftError):
    """A study cannot be judged as asked (YG6xx)."""


class MachineError(YolograftError):
    """The machine, not the user's input, is in the way: disk, memory, device (YG7xx)."""

    exit_code = 3
