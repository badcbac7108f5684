"""The ledger of claims and the planned studies: rows complete, pointers alive, commands taken."""

from __future__ import annotations

import json
import re
import shlex
import sys
import unicodedata
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import fabricated
import pytest
import yaml
from torch.nn import AdaptiveAvgPool2d

import label_noise  # pyright: ignore[reportMissingImports]
from yolograft.cli.app import build_app
from yolograft.cli.options import Output
from yolograft.cli.verdict_verb import verdict_
from yolograft.graph.expr import GraftSpec, parse_graft
from yolograft.models.build import inspect_spec, model_spec
from yolograft.study.planning.arms import planned_arms
from yolograft.study.planning.contrasts import read_contrast
from yolograft.study.planning.controls import control_arms, next_scale

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "studies"
POSTS = ROOT.parent / "shared/seeds"
NAMES = sorted(file.parent.name for file in STUDIES.glob("*/study.yaml"))
VERDICTS = {
    "true": "成立",
    "false": "不成立",
    "ambiguous": "有歧义",
    "undecided": "未定",
    "pending": "待测",
    "not tested": "未测",
}
BUDGET_HOURS = 22.0
KEYS = {
    *("title", "claims", "command", "arms", "contrasts", "seeds", "looks", "margin", "sd", "minutes"),
    "hours",
}
OPTIONAL = {"before", "before_minutes", "pilot", "note"}
# Minutes of one core that a run of a plain model was measured to take: 40 epochs on 205 images of BCCD.
MEASURED = {"yolov8n": 5.4, "yolov5n": 4.4, "yolox-nano": 7.5}
EPOCHS = 40
# Steps an epoch, relative to BCCD: the images of a set decide what a run of it takes.
STEPS = {"bccd": 1.0, "chess": 1.0, "aerial_cars": 9 / 13}


def rows(page: str) -> dict[str, list[str]]:
    """Id -> the cells behind it."""
    lines = (STUDIES / page).read_text(encoding="utf-8").splitlines()
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    found = [row for row in cells if row and re.fullmatch(r"\d{3}-\d{2}", row[0])]
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: row[1:] for row in found}


ENGLISH, CHINESE = rows("claims.md"), rows("claims.zh.md")


def study(name: str) -> dict[str, Any]:
    return yaml.safe_load((STUDIES / name / "study.yaml").read_text(encoding="utf-8"))


def asked(command: str) -> dict[str, Any]:
    """What the program, or a script of ours, understands of a command line."""
    program, *tokens = shlex.split(command)
    if program == "python":
        assert tokens[0] == "benchmarks/label_noise.py"
        return vars(label_noise.options().parse_args(tokens[1:]))
    assert program == "yolograft"
    _, bound, _ = build_app().parse_args(tokens, exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def quote(cell: str) -> str:
    found = re.search("“(.*?)”", cell)
    assert found, cell
    return found[1].replace("\\|", "|")


def plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def test_both_languages_hold_the_same_rows() -> None:
    assert list(ENGLISH) == list(CHINESE) == sorted(ENGLISH)
    for key, (sentence, condition, outcome, verdict) in ENGLISH.items():
        theirs = CHINESE[key]
        assert quote(sentence) == quote(theirs[0]), key
        assert condition and outcome and theirs[1] and theirs[2], key
        assert VERDICTS[verdict] == theirs[3], key


@pytest.mark.parametrize("page", ["claims.md", "claims.zh.md"])
def test_the_tally_is_that_of_the_rows(page: str) -> None:
    own = ENGLISH if page == "claims.md" else CHINESE
    text = (STUDIES / page).read_text(encoding="utf-8")
    verdicts = [row[-1] for row in own.values()]
    for word, chinese in VERDICTS.items():
        said = f"{verdicts.count(word)} {word}" if own is ENGLISH else f"{chinese} {verdicts.count(chinese)}"
        assert said in text, said


@pytest.mark.skipif(not POSTS.is_dir(), reason="the posts are not there")
def test_every_quote_stands_in_its_post() -> None:
    texts = {f.name[:3]: plain(f.read_text(encoding="utf-8")) for f in POSTS.glob("*.txt")}
    missing = [key for key, row in ENGLISH.items() if plain(quote(row[0])) not in texts[key[:3]]]
    assert not missing


@pytest.mark.parametrize("ledger", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_test_and_file_named_exists(ledger: dict[str, list[str]]) -> None:
    for key, row in ledger.items():
        for path, name in re.findall(r"`((?:tests|benchmarks|studies)/[\w./-]+)(?:::(\w+))?`", " ".join(row)):
            file = ROOT / path
            assert file.is_file(), (key, path)
            assert not name or f"def {name}(" in file.read_text(encoding="utf-8"), (key, name)
        for word in re.findall(r"`python studies/facts\.py (\w+)`", " ".join(row)):
            assert f"def {word}(" in (STUDIES / "facts.py").read_text(encoding="utf-8"), (key, word)


def test_every_show_command_is_taken() -> None:
    texts = [" ".join(row) for row in (*ENGLISH.values(), *CHINESE.values())]
    commands = {c for text in texts for c in re.findall(r"`(yolograft [^`]+)`", text)}
    assert any("--graft" in command for command in commands)
    for command in commands - {"yolograft check"}:
        given = asked(command).get("graft")
        if given:
            parse_graft(given)


@pytest.mark.parametrize("ledger", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_what_is_pending_names_a_study_that_names_it(ledger: dict[str, list[str]]) -> None:
    claims = {name: study(name)["claims"] for name in NAMES}
    pending = {VERDICTS["pending"], "pending"}
    for key, row in ledger.items():
        named = re.findall(r"studies/([\w.-]+)", row[2].replace("`studies/facts.py`", ""))
        named = [name for name in named if not name.startswith("facts.py")]
        assert set(named) <= set(NAMES), (key, named)
        if row[-1] in pending:
            assert named and all(key in claims[name] for name in named), (key, named)
    assert {key for named in claims.values() for key in named} <= set(ledger)


def test_the_plan_fits_its_budget() -> None:
    assert len(NAMES) >= 5
    total = sum(study(name)["hours"] for name in NAMES)
    assert total <= BUDGET_HOURS
    told = re.search(r"Total: ([\d.]+) hours", (STUDIES / "README.md").read_text(encoding="utf-8"))
    assert told and float(told[1]) == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_says_what_it_costs(name: str) -> None:
    plan = study(name)
    assert set(plan) >= KEYS and set(plan) <= KEYS | OPTIONAL
    assert set(plan["minutes"]) == set(plan["arms"])
    minutes = len(plan["seeds"]) * sum(plan["minutes"].values()) + plan.get("before_minutes", 0)
    assert plan["hours"] == pytest.approx(minutes / 60, abs=0.006)


@pytest.mark.parametrize("name", [name for name in NAMES if " judge " not in study(name)["command"]])
def test_a_study_is_what_its_command_runs(name: str) -> None:
    plan = study(name)
    given = asked(plan["command"])
    design, training = given["design"], given["training"]
    first = design.first_seed
    assert plan["seeds"] == list(range(first, first + design.seeds)) and plan["looks"] == [design.seeds]
    assert design.margin == plan["margin"] and training.name == name
    # Only weights may lie in a folder of this repository's own; data are named from its root.
    assert training.data.startswith("../shared/datasets/")
    for command in plan.get("before", []):
        asked(command)
    model, grafts = given["model"], [parse_graft(text) for text in given.get("graft", [])]
    assert planned_labels(model, grafts, design.control) == plan["arms"]
    assert [list(read_contrast(text)) for text in design.contrast] == plan["contrasts"]
    assert all(set(pair) <= set(plan["arms"]) and len(set(pair)) == 2 for pair in plan["contrasts"])
    measured = MEASURED[model] * training.epochs / EPOCHS * STEPS[training.data.rsplit("/", 1)[1]]
    stock = [minutes for label, minutes in plan["minutes"].items() if label != "next-scale"]
    assert stock == pytest.approx([measured] * len(stock), abs=0.05)


@pytest.mark.parametrize("name", [name for name in NAMES if " judge " in study(name)["command"]])
def test_a_study_that_judges_predictions_makes_them_first(name: str) -> None:
    plan = study(name)
    given, before = asked(plan["command"]), [asked(command) for command in plan["before"]]
    assert given["judging"].margin == plan["margin"] and given["judging"].looks == str(plan["looks"][0])
    # What differs from the base, and nothing else: the labels, or the model.
    noisy = [made for made in before if "shift" in made]
    trained = [made for made in before if "shift" not in made]
    truth = str(given["judging"].gt)
    assert all(made["data"] == truth and made["drop"] + made["relabel"] + made["shift"] > 0 for made in noisy)
    assert [run["seed"] for run in trained] == plan["seeds"]
    assert {run["training"].data for run in trained} == ({str(made["out"]) for made in noisy} or {truth})
    label, _, pattern = given["new"][0].partition("=")
    assert plan["arms"] == ["base", label]
    made = [f"runs/{run['training'].name}-001/arms/baseline/seed-{run['seed']}" for run in trained]
    assert all(fnmatchcase(f"{folder}/detections.npz", pattern) for folder in made)
    # The base is another study's baseline: same model, recipe and seeds, or it is no base.
    source = re.fullmatch(r"runs/([\w-]+)-001/arms/baseline/seed-\*/detections\.npz", given["base"][0])
    assert source
    other = asked(study(source[1])["command"])
    assert study(source[1])["seeds"] == plan["seeds"] and other["training"].data == truth
    for run in trained:
        assert run["model"] == (other["model"] if noisy else next_scale(other["model"]))
        recipe = ("epochs", "imgsz", "batch", "set")
        assert all(getattr(run["training"], key) == getattr(other["training"], key) for key in recipe)
    for command in plan.get("pilot", []):
        pilot = asked(command)
        assert pilot.get("seed", 0) not in plan["seeds"]


def committed() -> list[str]:
    kept = {file.parent for name in ("manifest.json", "judge.json") for file in STUDIES.glob(f"*/{name}")}
    return sorted(folder.name for folder in kept)


@pytest.mark.parametrize("name", committed())
def test_a_committed_verdict_is_what_its_records_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict_(STUDIES / name)
    said = [line for line in capsys.readouterr().out.splitlines() if " -> " in line]
    page = (STUDIES / name / "verdict.md").read_text(encoding="utf-8").splitlines()
    assert said and said == [line for line in page if " -> " in line]
    files = [file for file in (STUDIES / name).rglob("*.npz")]
    assert files and max(file.stat().st_size for file in files) <= 60_000


def test_a_study_is_read_again_beside_its_other_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fabricated.study(tmp_path / "run", {"baseline": 0.5, "ca": 0.6, "se": 0.55}, images=25)
    verdict_(run, save_records=tmp_path / "kept")
    first = capsys.readouterr().out.partition("records:")[0]
    folder = tmp_path / "studies/bccd"
    folder.mkdir(parents=True)
    for name in ("study.yaml", "verdict.md"):
        (folder / name).write_text("title: a study\n", encoding="utf-8")
    # As studies/README.md moves them.
    for name in ("manifest.json", "records"):
        (tmp_path / "kept" / name).rename(folder / name)
    before = sorted(folder.rglob("*"))
    verdict_(folder)
    assert capsys.readouterr().out == first and "ca: " in first
    verdict_(folder, output=Output(json=True))
    assert json.loads(capsys.readouterr().out)["arms"][2]["label"] == "se"
    assert sorted(folder.rglob("*")) == before


def test_the_official_form_is_the_one_named() -> None:
    sys.path.insert(0, str(STUDIES))
    try:
        import facts  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(STUDIES))
    pools = [m.output_size for m in facts.PublishedCoordAtt(64).modules() if isinstance(m, AdaptiveAvgPool2d)]
    assert pools == [(None, 1), (1, None)]
    assert facts.forms_differ() < 1e-6


def planned_labels(model: str, grafts: list[GraftSpec], controls: list[str]) -> list[str]:
    """Labels of the arms the program plans; every one of them builds."""
    stock = {model: model_spec(model, num_classes=3)}
    arms = planned_arms(stock, grafts)
    larger = {model: model_spec(next_scale(model), num_classes=3)} if "next-scale" in controls else {}
    added, notes = control_arms(arms, controls, larger, code={})
    assert not notes
    assert all(inspect_spec(arm.spec) for arm in (*arms, *added))
    return [arm.label for arm in (*arms, *added)]


def test_the_table_of_studies_is_complete() -> None:
    text = (STUDIES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| \[([\w.-]+)\]\(\1/study\.yaml\) \|.*\| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M
    )
    assert sorted(name for name, *_ in listed) == NAMES
    for name, arms, margin, hours in listed:
        plan = study(name)
        assert (len(plan["arms"]), plan["margin"], plan["hours"]) == (int(arms), float(margin), float(hours))
