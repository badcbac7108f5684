"""What every test may lean on: one thread a worker, a cache of the session's own, the shared datasets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # Read once when torch loads: workers that each take every core slow each other down.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def yolograft_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `YOLOGRAFT_CACHE` names: new every session, shared by its workers and what they start."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "yolograft-cache"
    folder.mkdir(exist_ok=True)
    os.environ["YOLOGRAFT_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    """The folder with the real datasets, beside the project; the test is skipped where it is missing."""
    folder = ROOT.parent / "shared" / "datasets"
    if not folder.is_dir():
        pytest.skip("no folder shared/datasets beside the project")
    return folder
