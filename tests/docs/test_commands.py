"""Every command line in the README files and the documentation is one that the program takes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError

from yolograft.cli.app import DATA_VERBS, VERBS, build_app
from yolograft.cli.recipes import make_recipe
from yolograft.engine.recipefile import read_recipe_file, shipped_recipes
from yolograft.errors import YolograftError
from yolograft.graph.ablate import ablate
from yolograft.graph.expr import parse_graft

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# Of every verb; read before the verb's own are.
GLOBAL = {"--help", "--version", "--debug"}
VERB_PATHS = [(verb,) for verb in VERBS] + [("data", verb) for verb in DATA_VERBS]


def pages() -> dict[str, str]:
    """Every page for users by its path: READMEs, documentation, the texts of the notebooks."""
    files = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        written = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        texts[file.relative_to(ROOT).as_posix()] = "\n\n".join(written)
    return texts


PAGES = pages()


def commands(text: str) -> Iterator[str]:
    """The command lines of a page's code blocks, without what stands before the program's name."""
    for block in FENCED.findall(text):
        for line in block.splitlines():
            if found := re.match(r"(?:uv run )?yolograft(?=\s|$)(.*)", line.strip()):
                yield found[1].strip()


def faults(command: str) -> Iterator[str]:
    """What the program would not take, one line each."""
    tokens = [token for token in shlex.split(command, comments=True) if token not in GLOBAL]
    try:
        build_app().parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        yield " ".join(str(error).split())
    for option, value in pairwise(tokens):
        try:
            if option == "--graft":
                parse_graft(value)
            elif option in ("--ablate", "--ablate-cumulative"):
                ablate(value, cumulative=option != "--ablate", init="paper")
            elif option == "--set":
                make_recipe([value], file=None)
        except YolograftError as error:
            yield error.line()


def options(*path: str) -> set[str]:
    """The options of a verb."""
    app: Any = build_app()
    for verb in path:
        app = app[verb]
    collection = app.assemble_argument_collection(parse_docstring=False)
    return {name for argument in collection for name in argument.names if name.startswith("--")} | GLOBAL


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_parse(page: str) -> None:
    assert {c: found for c in commands(PAGES[page]) if (found := list(faults(c)))} == {}


def test_commands_are_found() -> None:
    assert len(list(commands(PAGES["docs/quickstart.md"]))) >= 10
    for english in ("README.md", "docs/quickstart.md", "docs/recipes.md", "notebooks/quickstart.ipynb"):
        chinese = {"README.md": "README.zh-CN.md"}.get(english) or english.replace(".", ".zh.", 1)
        told = [[re.sub(r"\s*#.*", "", c) for c in commands(PAGES[page])] for page in (english, chinese)]
        assert told[0] == told[1], f"{english} and {chinese} differ"


@pytest.mark.parametrize(
    "command",
    [
        "compare --batchsize 3",
        "grow yolov8n",
        'show --graft "coord_att@"',
        'compare --ablate "se@neck.p3"',
        "train --set augment.mixups=1",
        "data check",
        "compare coord_att@neck.p3 neck.p5",
    ],
)
def test_a_wrong_command_is_seen(command: str) -> None:
    assert list(faults(command))


def test_named_verbs_and_options_exist() -> None:
    """In running text too: `--batch auto`, `yolograft data split`."""
    known = set.union(*(options(*path) for path in VERB_PATHS))
    assert {"--graft", "--no-duplicates", "--group-by", "--ablate-cumulative"} <= known
    for page, text in PAGES.items():
        for code in INLINE.findall(FENCED.sub("", text)):
            words = code.split()
            if words[0] == "yolograft" and len(words) > 1 and not words[1].startswith("-"):
                path = tuple(words[1:3]) if words[1] == "data" else (words[1],)
                assert path in VERB_PATHS, f"{page}: {code}"
                assert set(OPTION.findall(code)) <= options(*path), f"{page}: {code}"
            elif words[0].startswith("--"):
                assert set(OPTION.findall(code)) <= known | {"--code"}, f"{page}: {code}"
                if words[0] == "--set" and "=" in words[-1] and not words[-1].startswith("key="):
                    make_recipe([words[-1]], file=None)


@pytest.mark.parametrize("page", ["docs/recipes.md", "docs/recipes.zh.md"])
def test_recipes_and_keys_exist(page: str) -> None:
    _, recipes, keys, *_ = re.split(r"^\| (?:recipe|key|配方|键) \|.*\n", PAGES[page], flags=re.MULTILINE)
    rows = [row.split("|")[1] for row in recipes.split("\n\n")[0].splitlines()[1:]]
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted(shipped_recipes()) and all(read_recipe_file(name) for name in named)
    have = make_recipe([]).to_json()
    rows = [row.split("|")[1] for row in keys.split("\n\n")[0].splitlines()[1:]]
    for key in (key for row in rows for key in re.findall(r"`([\w.]+)(?:: \w+)?`", row)):
        place: Any = have
        for part in key.split("."):
            assert part in place, f"{page}: {key}"
            place = place[part]
