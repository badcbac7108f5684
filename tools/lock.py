"""Refresh `requirements.lock` and the constraint list in `pyproject.toml` from one resolution.

    python tools/lock.py                        keep every pin that still fits, add new ones, drop old ones
    python tools/lock.py --upgrade              the newest version of everything
    python tools/lock.py --upgrade torch timm   the newest version of these, the rest as pinned
    python tools/lock.py --check uv.lock        compare a fresh `uv.lock` with `requirements.lock`

The file `uv.lock` records the addresses of the registry it was made from and stays out of git. What git
keeps are the versions with their hashes (`requirements.lock`, every platform, extra and group) and the same
versions as constraints of the project itself, so that `uv sync` in a fresh clone arrives at them.
Needs `uv` on the path and a registry it can reach; `--check` needs neither.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "# begin: written by tools/lock.py", "# end: written by tools/lock.py"
HEADER = (
    "# Every version this project is tested with, on every platform, with the hashes of its files.\n"
    "# Written by tools/lock.py; change pyproject.toml and run that instead of editing here.\n"
)
EXPORT = (
    "export",
    "--quiet",
    "--all-extras",
    "--all-groups",
    "--no-emit-project",
    "--no-header",
    "--no-annotate",
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
MARKER = re.compile(r" ; (?P<marker>[^\\\n]+) \\$", re.MULTILINE)
HASH = re.compile(r"sha256:[0-9a-f]{64}")
CLAUSE = re.compile(r"\((?P<rest>[^()]+) and sys_platform == '(?P<platform>\w+)'\)")
PLATFORMS = frozenset({"darwin", "linux", "win32"})


def without_platforms(marker: str) -> str:
    """Drops the platform from a marker that holds on all of ours; other markers come back unchanged.

    `environments` in `[tool.uv]` makes uv spell every marker out once per platform.
    """
    if set(re.findall(r"sys_platform == '(\w+)'", marker)) != PLATFORMS:
        return marker
    clauses: dict[str, set[str]] = {}
    for found in CLAUSE.finditer(marker):
        clauses.setdefault(found["rest"], set()).add(found["platform"])
    if not clauses and not re.search(r"\band\b", marker):
        return ""
    if not CLAUSE.sub("", marker).replace("or", "").strip() and all(p == PLATFORMS for p in clauses.values()):
        return " or ".join(clauses)
    return marker


def pins(requirements: str) -> list[tuple[str, str, str]]:
    """(name, version, marker) of every requirement in a requirements file, in its order."""
    rows = [PIN.match(line) for line in requirements.splitlines() if line and line[0] not in " #"]
    if not all(rows):
        raise SystemExit("requirements.lock holds a line that pins nothing")
    return [(row["name"], row["version"], row["marker"] or "") for row in rows if row]


def constraints(requirements: str) -> list[str]:
    """One constraint a pin; a marker only where a package has several versions."""
    rows = pins(requirements)
    names = [name for name, _, _ in rows]
    return [
        f"{name}=={version} ; {marker}" if names.count(name) > 1 else f"{name}=={version}"
        for name, version, marker in rows
    ]


def with_constraints(pyproject: str, rows: list[str]) -> str:
    """The text of `pyproject.toml` with its constraint list replaced."""
    listed = "".join(f'  "{row}",\n' for row in rows)
    block = f"{BEGIN}\nconstraint-dependencies = [\n{listed}]\n{END}\n"
    if BEGIN in pyproject:
        return re.sub(
            f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", lambda _: block, pyproject, flags=re.DOTALL
        )
    if "[tool.uv]\n" not in pyproject:
        raise SystemExit("pyproject.toml has no [tool.uv] table")
    return re.sub(r"(\[tool\.uv\]\n(?:[^\[\n].*\n)*)", lambda found: found[1] + block, pyproject, count=1)


def resolve(pyproject: str) -> str:
    """Resolves a project file alone, away from any `uv.lock`, and returns the requirements with hashes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(pyproject, encoding="utf-8")
        subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
        done = subprocess.run(["uv", *EXPORT], cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return HEADER + MARKER.sub(shortened, done.stdout)


def shortened(found: re.Match[str]) -> str:
    """The end of a pin with its marker made shorter, or left out."""
    marker = without_platforms(found["marker"])
    return f" ; {marker} \\" if marker else " \\"


def refresh(upgrade: list[str] | None) -> None:
    """Writes both files. `upgrade`: None keeps every pin, [] frees all, names free those."""
    target = ROOT / "pyproject.toml"
    pyproject = target.read_text(encoding="utf-8")
    kept = tomllib.loads(pyproject)["tool"]["uv"].get("constraint-dependencies", [])
    if upgrade is not None:
        freed = {re.sub(r"[-_.]+", "-", name).lower() for name in upgrade}
        kept = [row for row in kept if upgrade and row.split("==")[0] not in freed]
    requirements = resolve(with_constraints(pyproject, kept))
    (ROOT / "requirements.lock").write_text(requirements, encoding="utf-8", newline="\n")
    target.write_text(with_constraints(pyproject, constraints(requirements)), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{len(pins(requirements))} pins, {len(HASH.findall(requirements))} hashes\n")


def hashes(requirements: str) -> dict[tuple[str, str], set[str]]:
    """The file hashes of every (name, version) in a requirements file."""
    found: dict[tuple[str, str], set[str]] = {}
    for block in re.split(r"\n(?=[^\s#])", requirements):
        first = block.lstrip("\n").splitlines()[0] if block.strip() else ""
        if row := PIN.match(first):
            found[row["name"], row["version"]] = set(HASH.findall(block))
    return found


def differences(requirements: str, uv_lock: str) -> list[str]:
    """What a fresh resolution has that `requirements.lock` has not: other versions, replaced files.

    A file *added* to a release later (a wheel for a new platform) is no difference.
    """
    wanted = hashes(requirements)
    fresh: dict[tuple[str, str], set[str]] = {}
    for package in tomllib.loads(uv_lock)["package"]:
        if "registry" in package["source"]:
            files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
            fresh[package["name"], package["version"]] = {file["hash"] for file in files}
    rows = [
        f"{name} {version}: not in requirements.lock"
        for name, version in sorted(fresh.keys() - wanted.keys())
    ]
    rows += [
        f"{name} {version}: no longer resolved" for name, version in sorted(wanted.keys() - fresh.keys())
    ]
    replaced = [key for key in sorted(wanted.keys() & fresh.keys()) if wanted[key] - fresh[key]]
    rows += [f"{name} {version}: a file was replaced" for name, version in replaced]
    return rows


def main() -> int:
    """Reads the command line; 0 when the files agree or were written, 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description="Refresh or check the pinned versions.")
    parser.add_argument("--upgrade", nargs="*", metavar="NAME", help="free all pins, or those named")
    parser.add_argument(
        "--check", type=Path, metavar="UV_LOCK", help="compare this uv.lock with requirements.lock"
    )
    options = parser.parse_args()
    if options.check is None:
        refresh(options.upgrade)
        return 0
    tracked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    rows = differences(tracked, options.check.read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(rows or [f"{len(pins(tracked))} pins as locked"]) + "\n")
    return 1 if rows else 0


if __name__ == "__main__":
    raise SystemExit(main())
