"""One thread for what is compared bit for bit, and a file with classes that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_runs import OWN_CLASS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def own_py(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the classes `Own` and `Overwrites`."""
    path = tmp_path_factory.mktemp("code") / "own.py"
    path.write_text(OWN_CLASS, encoding="utf-8")
    return path
