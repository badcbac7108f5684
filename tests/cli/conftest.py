"""The command line in this process, and a dataset small enough for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from yolograft.cli.app import run
from yolograft.data.shapes import shapes


class Answer(NamedTuple):
    """What a command line gave: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """command("show", "yolov8n") runs a command line in this process."""

    def go(*words: object) -> Answer:
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return go


@pytest.fixture(scope="session")
def tiny_data() -> Path:
    """Eight training and four evaluation images of 64 x 64."""
    return shapes(train=8, val=4, size=64).root


@pytest.fixture(scope="session")
def tiny(tiny_data: Path) -> tuple[str, ...]:
    """Options for a run of two steps."""
    return ("--data", str(tiny_data), "--imgsz", "64", "--batch", "4", "--epochs", "1", "--device", "cpu",
            "--set", "precision=fp32")  # fmt: skip
