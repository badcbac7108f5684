"""Signals: the first one asks for a clean stop after the current step, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):
    """A signal stopped the run after everything was saved; signum is its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; everything is saved")
        self.signum = signum


class Interrupts:
    """Context manager that notices SIGINT and SIGTERM; outside the main thread it notices nothing."""

    def __init__(self) -> None:
        self.pending: int = 0
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _notice(self, signum: int, frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = signum

    def raise_if_pending(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.pending:
            raise Interrupted(self.pending)
