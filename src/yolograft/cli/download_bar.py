"""The progress of a download and remarks beside an answer: both on standard error."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from yolograft.cli.terminal import printable


class DownloadBar:
    """A bar that appears with the first bytes; where no terminal listens, one line a tenth."""

    def __init__(self, name: str) -> None:
        self._name, self._told = name, -1
        self._console = Console(stderr=True, highlight=False, emoji=False)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn())
        self._bar = Progress(
            *columns,
            TransferSpeedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=None, visible=False)

    def __enter__(self) -> DownloadBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def received(self, done: int, size: int | None) -> None:
        """`done` bytes have come, of `size` where that is known."""
        self._bar.update(self._task, completed=done, total=size, visible=True)
        tenth = 10 * done // size if size else done >> 26
        if not self._console.is_terminal and tenth > self._told:
            self._told = tenth
            of = f" of {size / 2**20:.1f}" if size else ""
            self._console.print(f"{self._name}: {done / 2**20:.1f}{of} MiB", markup=False, soft_wrap=True)


def remark(text: str) -> None:
    """One line beside the answer, on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    console.print(printable(text), markup=False)
