"""The pins: `requirements.lock`, the constraints in `pyproject.toml` and the dependencies agree."""

from __future__ import annotations

import importlib.util
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")]
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.4",
        "sys_platform": platform,
        "platform_machine": machine,
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for platform, machine in MACHINES
]


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    """`tools/lock.py` as a module."""
    spec = importlib.util.spec_from_file_location("lock", ROOT / "tools" / "lock.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def direct(pyproject: str) -> list[Requirement]:
    """Every dependency that the project names itself: core, extras and groups."""
    table = tomllib.loads(pyproject)
    extras, groups = table["project"]["optional-dependencies"], table["dependency-groups"]
    rows = [*table["project"]["dependencies"], *itertools.chain(*extras.values(), *groups.values())]
    wanted = [Requirement(row) for row in rows]
    # A group may ask for extras of the project itself, which are in the list already.
    return [each for each in wanted if each.name != table["project"]["name"]]


def versions(rows: list[str], environment: dict[str, str]) -> dict[str, list[str]]:
    """name -> the versions that the pins `rows` ask for in one environment."""
    found: dict[str, list[str]] = {}
    for requirement in map(Requirement, rows):
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            found.setdefault(requirement.name, []).append(next(iter(requirement.specifier)).version)
    return found


def disagreements(requirements: list[str], constraints: list[str]) -> Iterator[str]:
    """Where the lock and the constraints pin differently, environment by environment."""
    if {Requirement(row).name for row in requirements} != {Requirement(row).name for row in constraints}:
        yield "different packages"
    for environment in ENVIRONMENTS:
        wanted, given = versions(requirements, environment), versions(constraints, environment)
        for name, pinned in wanted.items():
            if len(pinned) != 1 or given.get(name) != pinned:
                yield f"{name}: {pinned} locked, {given.get(name)} constrained, {environment}"


def rows_of(lock: ModuleType) -> list[str]:
    return [
        f"{name}=={version}" + (f" ; {marker}" if marker else "") for name, version, marker in lock.pins(LOCK)
    ]


def test_lock_and_constraints_agree(lock: ModuleType) -> None:
    constraints = tomllib.loads(PYPROJECT)["tool"]["uv"]["constraint-dependencies"]
    assert list(disagreements(rows_of(lock), constraints)) == []
    assert lock.constraints(LOCK) == constraints
    assert lock.with_constraints(PYPROJECT, constraints) == PYPROJECT


@pytest.mark.parametrize("change", ["drop", "bump", "twice"])
def test_a_disagreement_is_seen(lock: ModuleType, change: str) -> None:
    rows = lock.constraints(LOCK)
    torch = next(i for i, row in enumerate(rows) if row.startswith("torch=="))
    rows[torch : torch + 1] = {"drop": [], "bump": ["torch==1.0"], "twice": [rows[torch], "torch==1.0"]}[
        change
    ]
    assert any("torch" in row or "packages" in row for row in disagreements(rows_of(lock), rows))


def unpinned(pyproject: str, requirements: list[str]) -> Iterator[str]:
    """Direct dependencies without a pin that fits them, environment by environment."""
    for environment in ENVIRONMENTS:
        pinned = versions(requirements, environment)
        for wanted in direct(pyproject):
            found = pinned.get(canonicalize_name(wanted.name), ["none"])[0]
            if found == "none" or not wanted.specifier.contains(found):
                yield f"{wanted}: {found} pinned"


def test_every_direct_dependency_is_pinned(lock: ModuleType) -> None:
    assert list(unpinned(PYPROJECT, rows_of(lock))) == []
    assert list(unpinned(PYPROJECT.replace('"rich>=14"', '"rich>=140"'), rows_of(lock)))
    assert list(unpinned(PYPROJECT.replace('"rich>=14"', '"poor>=1"'), rows_of(lock)))


def test_every_pin_has_hashes_and_no_address(lock: ModuleType) -> None:
    hashes = lock.hashes(LOCK)
    assert len(hashes) == len(lock.pins(LOCK)) > 50
    assert all(hashes.values())
    others = [line for line in LOCK.splitlines() if line and not line.startswith(("#", "    --hash=sha256:"))]
    assert len(others) == len(hashes), "a line that is neither a pin, a hash nor a comment"
    assert not re.search(r"://|--index|--find-links|--extra|\s@\s|file:", LOCK)


PINNED = "a==1 \\\n    --hash=sha256:{0}\nb==2 ; sys_platform == 'linux' \\\n    --hash=sha256:{1}\n"
FRESH = """
[[package]]
name = "me"
version = "0"
source = {{ editable = "." }}
[[package]]
name = "a"
version = "{version}"
source = {{ registry = "r" }}
sdist = {{ hash = "sha256:{a}" }}
[[package]]
name = "b"
version = "2"
source = {{ registry = "r" }}
wheels = [{{ hash = "sha256:{b}" }}, {{ hash = "x" }}]
"""


@pytest.mark.parametrize(
    ("version", "b", "found"),
    [
        ("1", "1" * 64, []),  # a file added to a release is no difference
        ("3", "1" * 64, ["a 3: not in requirements.lock", "a 1: no longer resolved"]),
        ("1", "2" * 64, ["b 2: a file was replaced"]),
    ],
)
def test_a_fresh_resolution_is_compared(lock: ModuleType, version: str, b: str, found: list[str]) -> None:
    tracked = PINNED.format("0" * 64, "1" * 64)
    assert lock.differences(tracked, FRESH.format(version=version, a="0" * 64, b=b)) == found


ALL = "sys_platform == 'darwin' or sys_platform == 'linux' or sys_platform == 'win32'"
SPLIT = " or ".join(
    f"(python_version < '3.12' and sys_platform == '{name}')" for name in ("darwin", "linux", "win32")
)


@pytest.mark.parametrize(
    ("marker", "shorter"),
    [
        (ALL, ""),
        (SPLIT, "python_version < '3.12'"),
        ("sys_platform == 'linux'", "sys_platform == 'linux'"),
        (SPLIT.replace("linux", "darwin"), SPLIT.replace("linux", "darwin")),
        (SPLIT.replace("< '3.12' and sys_platform == 'l", "< '3.13' and sys_platform == 'l"), None),
    ],
)
def test_markers_are_shortened_without_changing_them(
    lock: ModuleType, marker: str, shorter: str | None
) -> None:
    result = lock.without_platforms(marker)
    assert result == (marker if shorter is None else shorter)
    for environment in ENVIRONMENTS:
        holds = [Requirement(f"a ; {text}").marker if text else None for text in (marker, result)]
        assert len({one is None or one.evaluate(dict(environment)) for one in holds}) == 1
