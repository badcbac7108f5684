"""What the files of the project may not hold, whatever their kind: a mapping from path to text goes in."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

# Written in pieces: this file is one of those it reads.
HOSTS = re.compile(
    "|".join([r"\bpypi" + r"\.org\b", "pythonho" + r"sted\.org", r"registry\.npm" + r"js\.org"])
)
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(wo" + r"rk|fa" + r"rm|ro" + r"ot)/[\w.]")
SCRATCH_PATH = re.compile(r"(?<![\w./~-])/(tmp|home|Users)/[\w.]")
TEST_COMMAND = re.compile(r"^(?:\$ )?(uv run pytest.*?)\s*(?:#.*)?$", re.MULTILINE)
LARGEST = 500_000
Tree = Mapping[str, str]


def files_of(root: Path) -> dict[str, str]:
    """Every text file that git tracks or would add, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, encoding="utf-8", check=True,
    ).stdout.split("\0")  # fmt: skip
    texts: dict[str, str] = {}
    for name in filter(None, listed):
        if (root / name).is_file():
            texts[name] = (root / name).read_bytes().decode("utf-8", errors="replace")
    return texts


def _matches(tree: Tree, pattern: re.Pattern[str], reason: str, suffix: str = "") -> Iterator[str]:
    for name, text in tree.items():
        if name.endswith(suffix):
            for number, line in enumerate(text.splitlines(), 1):
                if found := pattern.search(line):
                    yield f"{name}:{number}: {reason} ({found[0]})"


def no_registry_host(tree: Tree) -> Iterator[str]:
    """No file says where packages come from: that is the user's setting."""
    yield from _matches(tree, HOSTS, "names a package registry")


def no_machine_path(tree: Tree) -> Iterator[str]:
    """No file leans on a path of the machine it was written on."""
    yield from _matches(tree, MACHINE_PATH, "a path of one machine")
    yield from _matches(tree, SCRATCH_PATH, "a path of one machine", ".md")


def no_uv_lock(tree: Tree) -> Iterator[str]:
    """`uv.lock` records registry addresses; `requirements.lock` is what is tracked."""
    yield from (f"{name}: keep it out of git" for name in tree if Path(name).name == "uv.lock")


def no_giant(tree: Tree) -> Iterator[str]:
    """No file over 500 KB."""
    yield from (f"{name}: {len(text) // 1000} KB" for name, text in tree.items() if len(text) > LARGEST)


def ci_runs_the_readme(tree: Tree) -> Iterator[str]:
    """`.ci/run` runs the test command that each README gives; one with commands gives one."""
    script = TEST_COMMAND.findall(tree.get(".ci/run", ""))
    if len(script) != 1:
        yield f".ci/run: {len(script)} test commands, wanted 1"
    for name, text in tree.items():
        if re.fullmatch(r"README[\w.-]*\.md", name) and "```" in text:
            given = TEST_COMMAND.findall(text)
            if not given or not set(given) <= set(script):
                yield f"{name}: gives {given}, .ci/run runs {script}"


RULES = (no_registry_host, no_machine_path, no_uv_lock, no_giant, ci_runs_the_readme)

BREACHES: dict[str, list[dict[str, str]]] = {
    "no_registry_host": [
        {"a.toml": "url = 'https://pypi" + ".org/simple'"},
        {"b.txt": "files.pythonho" + "sted.org"},
    ],
    "no_machine_path": [
        {"docs/a.md": "see /wo" + "rk/main/src"},
        {"src/a.py": "x = '/ro" + "ot/.cache'"},
        {"docs/a.md": "cd /tmp/x"},
    ],
    "no_uv_lock": [{"uv.lock": ""}, {"benchmarks/uv.lock": ""}],
    "no_giant": [{"a.json": "x" * 500_001}],
    "ci_runs_the_readme": [
        {"README.md": "```\nuv run pytest\n```"},
        {"README.md": "```\nuv run pytest\n```", ".ci/run": "uv run pytest -n 2\n"},
        {"README.zh-CN.md": "```\npip install uv\n```", ".ci/run": "uv run pytest\n"},
    ],
}
FINE: list[dict[str, str]] = [
    {
        "README.md": "```bash\nuv run pytest   # two minutes\n```",
        ".ci/run": "set -eu\nuv run pytest\n",
        "docs/a.md": "the frame/work/flow of ../shared/datasets and src/tmp/x",
        "tests/a.py": "x = '/tmp/x'",
    }
]
