"""At every moment the old or the new checkpoint is whole, whatever goes wrong while it is written."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from yolograft.engine import checkpoint
from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import read_model, store_model
from yolograft.errors import CheckpointError, MachineError
from yolograft.models.build import build, model_spec

OLD = ({"a": torch.zeros(5), "b": torch.tensor(1)}, {"steps": 1})
NEW = ({"a": torch.ones(5), "b": torch.tensor(2)}, {"steps": 2})


class Faults:
    """Raises at the n-th of the calls that writing makes to the system, before or after the call itself."""

    def __init__(self, at: int, error: BaseException, *, late: bool) -> None:
        self.at, self.error, self.late, self.calls = at, error, late, 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            mine = self.calls == self.at
            if mine and not self.late:
                raise self.error
            result = call(*args, **kwargs)
            if mine:
                raise self.error
            return result

        return wrapped


def _write_with_fault(
    write: Callable[[], object], fault: Faults, monkeypatch: pytest.MonkeyPatch
) -> BaseException | None:
    with monkeypatch.context() as patch:
        for owner, name in (
            (os, "fsync"), (checkpoint, "_flush"), (checkpoint, "_sha256"), (Path, "mkdir"),
            (Path, "replace"), (Path, "open"), (safetensors.torch, "save_file"),
        ):  # fmt: skip
            patch.setattr(owner, name, fault.wrap(getattr(owner, name)))
        try:
            write()
        except BaseException as error:
            return error
    return None


def _steps(folder: Path) -> int:
    tensors, state = checkpoint.read_checkpoint(folder)
    expected = OLD if state["steps"] == 1 else NEW
    assert all(torch.equal(tensors[key], expected[0][key]) for key in expected[0])
    return state["steps"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SafetensorError("full")], ids=repr
)
def test_a_fault_at_every_write_step(
    error: BaseException, replaces: bool, late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outcomes = tmp_path / "step-1", set()
    for at in range(1, 40):
        checkpoint.shutil.rmtree(folder, ignore_errors=True)
        if replaces:
            checkpoint.write_checkpoint(folder, *OLD)
        fault = Faults(at, error, late=late)
        raised = _write_with_fault(lambda: checkpoint.write_checkpoint(folder, *NEW), fault, monkeypatch)
        if raised is None:
            assert _steps(folder) == 2 and fault.calls < at
            break
        assert isinstance(raised, KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else MachineError)
        if folder.exists():
            outcomes.add(_steps(folder))
        else:
            assert not replaces
            outcomes.add(0)
        assert [p.name for p in tmp_path.iterdir() if p != folder] == []
    else:
        raise AssertionError("no end of write steps")
    assert at > 6 and outcomes == {int(replaces), 2}


@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()], ids=repr)
def test_a_fault_at_every_step_of_a_json_file(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    for at in range(1, 20):
        checkpoint.write_json(path, {"version": "old"})
        fault = Faults(at, error, late=False)
        raised = _write_with_fault(
            lambda: checkpoint.write_json(path, {"version": "new"}), fault, monkeypatch
        )
        assert json.loads(path.read_text(encoding="utf-8")) == {"version": "old" if raised else "new"}
        assert list(tmp_path.iterdir()) == [path]
        if raised is None:
            assert at > 3
            return
    raise AssertionError("no end of write steps")


def test_a_disk_that_is_full_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "step-1"
    checkpoint.write_checkpoint(folder, *OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MachineError) as caught:
            checkpoint.write_checkpoint(folder, {"a": torch.ones(10_000)}, {"steps": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "YG702" and caught.value.exit_code == 3
    assert _steps(folder) == 1 and list(tmp_path.iterdir()) == [folder]


def test_no_number_that_json_lacks_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.write_checkpoint(tmp_path / "a", {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    tensors = {
        "strided": weight.to(memory_format=torch.channels_last),
        "part": weight[:, 1:3],
        "bf16": weight.bfloat16(),
        "int": torch.tensor(3),
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
        "none": torch.zeros(0, 4),
    }
    tensors["tied"] = tensors["strided"]
    state = {"loss": 0.1 + 0.2, "text": '真涨点 \u2028 \\ "', "list": (1, 2), 3: None}
    checkpoint.write_checkpoint(tmp_path / "a", tensors, state)
    got, read = checkpoint.read_checkpoint(tmp_path / "a")
    for name, value in tensors.items():
        assert got[name].dtype == value.dtype and torch.equal(got[name].nan_to_num(7), value.nan_to_num(7))
    assert read["loss"] == 0.1 + 0.2 and read["text"] == state["text"]
    assert read["list"] == [1, 2] and read["3"] is None


def test_text_of_undecodable_bytes_comes_back_as_it_was(tmp_path: Path) -> None:
    # A file name from a Chinese Windows archive, as Python holds it.
    data = {"image": b"\xd1\xb5\xc1\xb7.jpg".decode("utf-8", "surrogateescape"), "\udcff": "真 \\udcd1 \\"}
    checkpoint.write_json(tmp_path / "a.json", data)
    assert checkpoint.read_json(tmp_path / "a.json") == data
    checkpoint.write_checkpoint(tmp_path / "c", OLD[0], data)
    assert {key: checkpoint.read_checkpoint(tmp_path / "c")[1][key] for key in data} == data


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (2, 10, 100, 9):
        checkpoint.write_checkpoint(checkpoint.step_folder(tmp_path, step), *OLD)
    (tmp_path / ".step-00000003.99.tmp").mkdir()
    checkpoint.drop_old_checkpoints(tmp_path, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    assert checkpoint.newest_checkpoint(tmp_path / "nothing") is None


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with pytest.raises(CheckpointError, match="YG401"):
        checkpoint.read_checkpoint(folder)
    for text in ("{", "[1]", '{"format": 2}', '{"format": "x"}', "{}"):
        folder.mkdir(exist_ok=True)
        (folder / checkpoint.STATE).write_text(text, encoding="utf-8")
        with pytest.raises(CheckpointError, match="YG401" if text == "{" else "YG403"):
            checkpoint.read_checkpoint(folder)
    checkpoint.write_checkpoint(folder, *OLD)
    (folder / checkpoint.TENSORS).unlink()
    with pytest.raises(CheckpointError, match="YG401"):
        checkpoint.read_checkpoint(folder)
    (folder / checkpoint.TENSORS).write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="YG402"):
        checkpoint.read_checkpoint(folder)


def test_a_model_folder_holds_what_was_stored(tmp_path: Path) -> None:
    spec = model_spec("yolov8n", num_classes=3)
    detector = build(spec, seed=4)
    about = {"imgsz": [64, 96], "names": ["a", "b", "真"], "seed": 4}
    store_model(tmp_path / "model", Arm("x", spec), dict(detector.state_dict()), about)
    stored = read_model(tmp_path / "model")
    assert (stored.spec, stored.imgsz, stored.names) == (spec, (64, 96), ("a", "b", "真"))
    assert stored.about == about and stored.hashes == {}
    again = stored.detector()
    assert not again.training
    for key, value in detector.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    checkpoint.write_checkpoint(tmp_path / "other", *OLD)
    with pytest.raises(CheckpointError, match="YG405"):
        read_model(tmp_path / "other")
    spec = model_spec("yolov8n", num_classes=3)
    about = {"imgsz": [64, 64], "names": ["a"] * 3}
    store_model(tmp_path / "empty", Arm("x", spec), {}, about)
    with pytest.raises(CheckpointError, match="YG402"):
        read_model(tmp_path / "empty").detector()
