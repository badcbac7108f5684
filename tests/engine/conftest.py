"""One thread for what is compared bit for bit, and a file with classes that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import OWN_CLASS

from yolograft.graph.spec import ModelSpec
from yolograft.models import build
from yolograft.models.codebook import Codebook
from yolograft.models.facts import LayerFacts


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


@pytest.fixture(scope="session", autouse=True)
def inspected_once() -> Iterator[None]:
    """Specs are inspected once a session: half the time of a run this short, and a pure function."""
    inspect, seen = build.inspect_spec, dict[Any, Any]()

    def cached(spec: ModelSpec, *, code: Codebook | None = None) -> tuple[LayerFacts, ...]:
        key = (spec, tuple((ref, user.sha256) for ref, user in sorted((code or {}).items())))
        if key not in seen:
            seen[key] = inspect(spec, code=code)
        return seen[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "inspect_spec", cached)
        yield
