"""Wrong input: one line on standard error, exit code 2, nothing on standard output, nothing made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError

from yolograft.cli.app import SPLIT_HINT
from yolograft.errors import MAX_LINE, SpecError

WRONG = [
    ("YG190", "nonsense"),
    ("YG190", "compare --nonsense"),
    ("YG190", "compare --seeds many"),
    ("YG190", "compare --workers -1"),
    ("YG190", "compare --at-once 0"),
    ("YG190", "compare --cache disc"),
    ("YG190", "compare --batch some"),
    ("YG190", "compare --amp"),
    ("YG190", "compare --amp half"),
    ("YG190", "compare --box-loss iou"),
    ("YG190", "compare --logger wandb"),
    ("YG132", "compare TINY --levels p3,p6"),
    ("YG132", "train TINY --levels p3,p3"),
    ("YG117", "compare TINY --ablate se@neck.p3"),
    ("YG193", "compare --ablate A --ablate-cumulative B"),
    ("YG193", "compare --batch auto --set batch=4"),
    ("YG193", "compare --resume nowhere --recipe light"),
    ("YG193", "compare yolov8s --resume nowhere"),
    ("YG193", "compare yolov8n --resume nowhere"),
    ("YG193", "compare --resume nowhere --seeds 3"),
    ("YG193", "compare --resume nowhere --first-seed 0"),
    ("YG193", "compare --resume nowhere --margin 0.5"),
    ("YG193", "compare --resume nowhere --levels p2,p3"),
    ("YG193", "compare --resume nowhere --levels p3,p4,p5"),
    ("YG193", "compare --resume nowhere --data shapes"),
    ("YG193", "train --resume nowhere --runs runs"),
    ("YG192", "train --epochs 999999999"),
    ("YG193", "train yolov8s --resume nowhere"),
    ("YG193", "train --resume nowhere --seed 0"),
    ("YG194", "compare --recipe nowhere.yaml"),
    ("YG194", "train --recipe lite"),
    ("YG190", "data check"),
    ("YG190", "eval"),
    ("YG106", "show yolov9"),
    ("YG107", "show --classes 0"),
    ("YG191", "show --imgsz 33"),
    ("YG191", "show --imgsz 640x640x3"),
    ("YG191", "show --imgsz -32"),
    ("YG191", "compare --imgsz 0"),
    ("YG112", "show --graft se"),
    ("YG120", "show --graft se@neck.p9"),
    ("YG201", "show --graft sea@neck.p3"),
    ("YG202", "show --graft se:ratio=1@neck.p3"),
    ("YG210", "show --graft se:reduction=0@neck.p3"),
    ("YG220", "show --graft nowhere.py::X@neck.p3"),
    ("YG225", "show --graft nowhere::X@neck.p3"),
    ("YG201", "modules sea"),
    ("YG301", "data check nowhere"),
    ("YG301", "compare --data nowhere"),
    ("YG401", "eval nowhere"),
    ("YG340", "predict nowhere"),
    ("YG340", "predict nowhere nothing.png"),
    ("YG401", "compare --resume nowhere"),
    ("YG401", "train --weights nowhere TINY"),
    ("YG192", "compare TINY --set epoch=3"),
    ("YG192", "compare TINY --set augment.mosiac=0"),
    ("YG192", "compare TINY --set epochs"),
    ("YG192", "compare TINY --set epochs.x=1"),
    ("YG192", "compare TINY --set augment=1 --set augment.mosaic=0"),
    ("YG192", "compare TINY --set lr=fast"),
    ("YG192", "compare TINY --set imgsz=64"),
    ("YG192", "compare --data DATA --epochs 0"),
    ("YG192", "compare --data DATA --batch 0"),
    ("YG601", "compare TINY --margin -1"),
    ("YG601", "compare TINY --margin nan"),
    ("YG603", "compare TINY --graft x=se@neck.p3 --graft x=nam@neck.p3"),
    ("YG605", "compare TINY --seeds 0"),
    ("YG605", "compare TINY --seeds -1"),
]


@pytest.mark.parametrize(("code", "line"), WRONG, ids=[line for _, line in WRONG])
def test_it_is_one_line(
    code: str,
    line: str,
    command: Any,
    tiny: tuple[str, ...],
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = {"TINY": tiny, "DATA": (str(tiny_data),)}
    words = [word for part in line.split() for word in filled.get(part, (part,))]
    answer = command(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith("\n") and answer.err.count("\n") == 1
    assert answer.err.startswith(f"{code} ") and len(answer.err.rstrip("\n")) <= MAX_LINE
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["gpu", "99", "0,99", "cuda:0"])
def test_a_device_that_is_not_there_is_the_machine(
    device: str, command: Any, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("compare", "--data", tiny_data, "--device", device)
    assert (answer.code, answer.out) == (3, "") and answer.err.startswith("YG701 ")
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_key_is_named_with_its_nearest(command: Any, tiny: tuple[str, ...]) -> None:
    err = command("compare", *tiny, "--set", "augment.mosiac=0").err
    assert "no recipe key 'augment.mosiac'" in err and "did you mean mosaic?" in err
    err = command("compare", *tiny, "--set", "weight_decy=0").err
    assert "no recipe key 'weight_decy'" in err and "did you mean weight_decay?" in err


@pytest.mark.parametrize(
    "words",
    [
        ("show", "yolov8n", "coord_att@neck.p3"),
        ("show", "yolov8n", "--graft", "coord_att@neck.p3", "neck.p4"),
        ("compare", "yolov8n", "--graft", "se@neck.p3", "+", "nam@neck.p4"),
        ("compare", "yolov8n", "--graft", "coord_att(reduction=16", ")@neck.p3"),
        ("train", "yolov8n", "--graft", "x", "=", "se@neck.p3"),
        ("show", "yolov8n", "--graft", "se", "@", "neck.p3"),
        ("coord_att@neck.p3",),
    ],
    ids=" ".join,
)
def test_what_the_shell_split_is_recognised(words: tuple[str, ...], command: Any) -> None:
    answer = command(*words)
    assert answer.code == 2 and SPLIT_HINT in answer.err


def test_debug_shows_where_it_happened(command: Any) -> None:
    with pytest.raises(SpecError):
        command("show", "yolov9", "--debug")
    with pytest.raises(CycloptsError):
        command("--debug", "nonsense")
    assert command("modules", "se", "--debug").code == 0


def test_ctrl_c_and_a_closed_pipe(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(error: BaseException) -> Any:
        def verb(*_: object, **__: object) -> None:
            raise error

        return verb

    monkeypatch.setattr("yolograft.cli.modules_verb.modules_", raises(KeyboardInterrupt()))
    assert command("modules") == (130, "", "stopped\n")
    monkeypatch.setattr("yolograft.cli.modules_verb.modules_", raises(BrokenPipeError()))
    assert command("modules")[0] == 0
