"""The house holds: every rule on the whole source, and every rule seen to catch a planted breach."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from house import imports, safety, tree, writing
from house.planted import BREACHES, FINE
from house.source import House

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Where the name to import differs from the name to install.
IMPORTED_AS = {"opencv-python-headless": "cv2", "ruamel-yaml": "ruamel", "grad-cam": "pytorch_grad_cam"}


def import_names(requirements: list[str]) -> frozenset[str]:
    """The names under which the packages of a dependency list are imported."""
    names = [re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", row)[0]).lower() for row in requirements]
    return frozenset(IMPORTED_AS.get(name, name.replace("-", "_")) for name in names)


CORE = import_names(PROJECT["dependencies"])
EXTRAS = import_names([row for rows in PROJECT["optional-dependencies"].values() for row in rows]) - CORE
imports_declared = imports.declared(CORE, EXTRAS, frozenset(sys.stdlib_module_names))
RULES = {rule.__name__: rule for rule in (*imports.RULES, imports_declared, *writing.RULES, *safety.RULES)}


@pytest.fixture(scope="module")
def house() -> House:
    return House.read(ROOT / "src" / "yolograft")


@pytest.mark.parametrize("rule", RULES)
def test_the_house_holds(house: House, rule: str) -> None:
    breaches = [str(breach) for breach in RULES[rule](house)]
    assert not breaches, "\n".join([f"{rule}: {RULES[rule].__doc__}", *breaches])


def test_the_house_is_read_whole(house: House) -> None:
    files = list((ROOT / "src" / "yolograft").rglob("*.py"))
    assert len(house.sources) == len(files) > 10
    assert house.sources["yolograft"].is_package and house.sources["yolograft.graph"].is_package


@pytest.mark.parametrize(
    ("rule", "texts"), [(rule, texts) for rule, planted in BREACHES.items() for texts in planted]
)
def test_a_planted_breach_is_seen(rule: str, texts: dict[str, str]) -> None:
    assert list(RULES[rule](House.of(texts)))


@pytest.mark.parametrize("texts", FINE, ids=lambda texts: "+".join(texts))
def test_what_is_fine_passes_every_rule(texts: dict[str, str]) -> None:
    house = House.of(texts)
    assert [str(breach) for rule in RULES.values() for breach in rule(house)] == []


def test_every_rule_has_a_planted_breach() -> None:
    assert BREACHES.keys() == RULES.keys()


TREE_RULES = {rule.__name__: rule for rule in tree.RULES}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return tree.files_of(ROOT)


@pytest.mark.parametrize("rule", TREE_RULES)
def test_the_tree_holds(files: dict[str, str], rule: str) -> None:
    assert "pyproject.toml" in files
    breaches = list(TREE_RULES[rule](files))
    assert not breaches, "\n".join([f"{rule}: {TREE_RULES[rule].__doc__}", *breaches])


@pytest.mark.parametrize(
    ("rule", "texts"), [(rule, texts) for rule, planted in tree.BREACHES.items() for texts in planted]
)
def test_a_planted_breach_in_the_tree_is_seen(rule: str, texts: dict[str, str]) -> None:
    assert list(TREE_RULES[rule](texts))


def test_a_fine_tree_passes_every_rule() -> None:
    assert [breach for rule in tree.RULES for texts in tree.FINE for breach in rule(texts)] == []
    assert tree.BREACHES.keys() == TREE_RULES.keys()


def loaded_by(*arguments: str) -> set[str]:
    """The modules a fresh interpreter has loaded after running `arguments`, read from its import log."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, cwd=ROOT)
    lines = done.stderr.splitlines()
    assert done.returncode == 0, [line for line in lines if not line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.mark.parametrize(
    "arguments", [("-c", "import yolograft"), ("-m", "yolograft", "--help")], ids=" ".join
)
def test_the_front_door_loads_no_torch(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "yolograft" in loaded and not loaded & imports.TORCH


def test_a_loaded_torch_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("", encoding="utf-8")
    assert "torch" in loaded_by("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch")


def test_one_package_provides_cv2() -> None:
    """Two OpenCV wheels write into one folder; whichever came last wins."""
    names = {(dist.metadata["Name"] or "").lower().replace("_", "-") for dist in metadata.distributions()}
    assert {name for name in names if name.startswith("opencv-")} == {"opencv-python-headless"}
