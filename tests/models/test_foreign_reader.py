"""Foreign checkpoints: the reader gives what torch gives, without its unpickler and without the classes."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from yolograft.errors import MAX_LINE, CheckpointError
from yolograft.models.foreign.limits import Limits
from yolograft.models.foreign.read import DTYPES, ForeignCheckpoint, layout_of, read_foreign

PLAIN = [dtype for name, dtype in DTYPES.items() if name not in ("uint16", "uint32", "uint64")]


def bits(tensor: Tensor) -> Tensor:
    """The bytes of a tensor: equal bytes are equal numbers, nan included."""
    flat = tensor.clone(memory_format=torch.contiguous_format).reshape(-1)
    return flat.view(torch.uint8) if tensor.numel() else flat


def assert_same(read: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(read) == list(expected)
    for key, tensor in expected.items():
        ours = read[key]
        assert (ours.dtype, ours.shape) == (tensor.dtype, tensor.shape), key
        assert ours.is_contiguous() and not ours.requires_grad and type(ours) is Tensor
        assert torch.equal(bits(ours), bits(tensor.detach())), key


def refused(path: Path, **kwargs: Any) -> CheckpointError:
    """The one-line refusal of a file."""
    with pytest.raises(CheckpointError) as caught:
        read_foreign(path, **kwargs)
    line = caught.value.line()
    assert len(line) <= MAX_LINE and line.isprintable() and caught.value.where == path.name
    return caught.value


def saved(path: Path, value: Any, **kwargs: Any) -> Path:
    torch.save(value, path, **kwargs)
    return path


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """A tensor of any plain type, often a view: transposed, sliced, expanded, channels_last."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    tensor = (torch.randn(shape, generator=generator) * 9).to(draw(st.sampled_from(PLAIN)))
    view = draw(
        st.sampled_from(["as it is", "transposed", "sliced", "expanded", "channels_last", "parameter"])
    )
    if view == "transposed" and len(shape) > 1:
        tensor = tensor.transpose(0, -1)
    elif view == "sliced" and shape:
        tensor = tensor[1::2]
    elif view == "expanded":
        tensor = tensor[None].expand(3, *shape)
    elif view == "channels_last" and len(shape) == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    elif view == "parameter" and tensor.is_floating_point():
        tensor = nn.Parameter(tensor)
    return tensor


@given(
    st.dictionaries(st.text("abc.0_ü", min_size=1, max_size=6), tensors(), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([2, 2, 3, 4, 5]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_state_dict_is_read_as_torch_reads_it(
    tmp_path: Path, state: dict[str, Tensor], shared: bool, protocol: int
) -> None:
    if shared:
        whole = torch.arange(24.0)
        state = state | {"rows": whole.view(4, 6), "columns": whole.view(4, 6).t(), "tail": whole[20:]}
    path = saved(tmp_path / "state.pt", OrderedDict(state), pickle_protocol=protocol)
    checkpoint = read_foreign(path)
    # torch's own reader of weights knows no protocol above 2.
    assert_same(checkpoint.tensors, torch.load(path, weights_only=True) if protocol == 2 else state)
    assert (checkpoint.path, checkpoint.names, checkpoint.facts) == (path, (), {})


def test_unsigned_words_and_other_wrappings_are_read(tmp_path: Path) -> None:
    odd = nn.Parameter(torch.ones(2))
    odd.note = "a parameter with an attribute"  # type: ignore[attr-defined]
    state = {name: torch.arange(3).to(DTYPES[name]) for name in ("uint16", "uint32", "uint64")} | {"odd": odd}
    path = saved(tmp_path / "odd.pt", state)
    assert_same(read_foreign(path).tensors, state)


def test_a_tensor_that_is_read_is_nobodys_view(tmp_path: Path) -> None:
    whole = torch.zeros(4)
    read = read_foreign(saved(tmp_path / "w.pt", {"a": whole, "b": whole[1:], "c": whole})).tensors
    read["a"].add_(1)
    assert read["b"].eq(0).all() and read["c"].eq(0).all()


def test_bytes_that_are_no_bool_become_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "bool.pt", {"b": torch.tensor([True, False, True])})
    torch.serialization.set_crc32_options(False)
    try:
        saved(path, {"b": torch.tensor([True, False, True])})
    finally:
        torch.serialization.set_crc32_options(True)
    raw = path.read_bytes()
    assert raw.count(b"\1\0\1") == 1
    path.write_bytes(raw.replace(b"\1\0\1", b"\7\0\2"))
    assert read_foreign(path).tensors["b"].view(torch.uint8).tolist() == [1, 0, 1]


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module with a class of its own, for a test to save and then to delete."""
    module = types.ModuleType("their_project")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.SiLU())
            self.again = self.stem[0]
            self.scale = nn.Parameter(torch.tensor(0.5))
            self.tied = self.scale
            self.nothing = None
            self.register_parameter("empty", None)
            self.register_buffer("anchors", torch.arange(6.0).view(3, 2).t())
            self.register_buffer("grid", torch.ones(9), persistent=False)
            self.names = {1: "dog", 0: "cat\x1b[31m"}
            self.yaml = {"nc": 2, "backbone": [[-1, 1, "Conv", [64, 3, 2]]], "anchors": [[1, 2]]}
            self.stride = torch.tensor([8.0, 16.0])

    Net.__module__, Net.__qualname__ = module.__name__, "Net"
    module.Net = Net  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_a_module_pickled_whole_is_read_without_its_class(
    tmp_path: Path, gone: types.ModuleType, protocol: int
) -> None:
    net = gone.Net()
    path = saved(tmp_path / "net.pt", {"model": net, "epoch": 7}, pickle_protocol=protocol)
    expected = net.state_dict()
    del gone.Net
    checkpoint = read_foreign(path)
    assert_same(checkpoint.tensors, expected)
    assert "grid" not in checkpoint.tensors and "again.weight" in checkpoint.tensors
    assert checkpoint.names == ("cat [31m", "dog")
    facts = checkpoint.facts
    assert facts["class"] == "their_project.Net" and facts["part"] == "model" and facts["epoch"] == 7
    assert facts["stride"] == [8.0, 16.0] and facts["nc"] == 2 and facts["anchors"] == [[1, 2]]
    assert facts["yaml"]["backbone"] == [[-1, 1, "Conv", [64, 3, 2]]]


def test_a_module_by_itself_and_one_that_is_wrapped(tmp_path: Path, gone: types.ModuleType) -> None:
    net = gone.Net()
    wrapped = nn.Sequential(OrderedDict(module=net))
    expected, inside = net.state_dict(), wrapped.state_dict()
    alone = saved(tmp_path / "alone.pt", net)
    within = saved(tmp_path / "within.pt", {"model": wrapped})
    assert_same(read_foreign(alone).tensors, expected)
    assert "part" not in read_foreign(alone).facts
    checkpoint = read_foreign(within)
    assert_same(checkpoint.tensors, inside)
    assert checkpoint.names == ("cat [31m", "dog") and checkpoint.facts["nc"] == 2


def test_averaged_weights_come_before_the_others(tmp_path: Path) -> None:
    last, average = nn.Linear(2, 2), nn.Linear(2, 2).half()
    path = saved(tmp_path / "both.pt", {"model": last, "ema": average, "updates": 3})
    assert_same(read_foreign(path).tensors, average.state_dict())
    assert read_foreign(path).facts["part"] == "ema"
    saved(path, {"model": last, "ema": None})
    assert_same(read_foreign(path).tensors, last.state_dict())
    saved(path, {"model": last.state_dict(), "ema": average.state_dict()})
    assert_same(read_foreign(path).tensors, average.state_dict())


@pytest.mark.parametrize("part", ["model", "state_dict", "model_state_dict", "net"])
def test_a_state_dict_inside_a_checkpoint(tmp_path: Path, part: str) -> None:
    net = nn.Conv2d(1, 1, 1)
    optimiser = {"state": {0: {"momentum_buffer": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    value = {part: net.state_dict(), "optimizer": optimiser, "start_epoch": 3}
    checkpoint = read_foreign(saved(tmp_path / "c.pth", value))
    assert_same(checkpoint.tensors, net.state_dict())
    assert checkpoint.facts == {"part": part, "start_epoch": 3}


def test_what_a_file_says_about_itself_is_plain_and_printable(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    doubled: list[Any] = []
    for _ in range(64):
        doubled = [doubled, doubled]
    deep: Any = ()
    for _ in range(500):
        deep = (deep,)
    arguments = {
        "path": Path("data") / "coco.yaml", "text": "a\x1b[2Jb\n" + "x" * 10_000, "nan": float("nan"),
        "endless": endless, "doubled": doubled, "deep": deep, "set": {3}, 7: (1, None, True), "huge": 1 << 90,
        "array": np.array([1.5, -2]), "whole": np.int64(-4), "type": torch.float32,
    }  # fmt: skip
    about = {
        "train_args": arguments,
        "best_fitness": np.float64(0.25),
        "license": "AGPL-3.0",
        "secret": "left",
    }
    checkpoint = read_foreign(saved(tmp_path / "facts.pt", {"model": {"w": torch.ones(1)}, **about}))
    facts = json.loads(json.dumps(checkpoint.facts, allow_nan=False))
    assert facts == checkpoint.facts and set(facts) == {"part", "train_args", "best_fitness", "license"}
    assert facts["best_fitness"] == 0.25 and facts["license"] == "AGPL-3.0"
    told = facts["train_args"]
    assert told["array"] == [1.5, -2.0] and told["whole"] == -4 and told["set"] == [3]
    assert told["7"] == [1, None, True] and told["nan"] is None and told["huge"] is None
    assert told["text"].startswith("a [2Jb x") and len(told["text"]) < 5000 and told["text"].isprintable()
    assert told["path"].startswith("<pathlib.") and told["type"] == "<torch.float32>"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ("a", "b")),
        ({0: "a", 1: "b"}, ("a", "b")),
        ({"1": "b", "0": "a"}, ("a", "b")),
        ({0: "a", 2: "b"}, ()),
        ("ab", ()),
        ([["a"]], ()),
        (None, ()),
    ],
)
def test_class_names(tmp_path: Path, names: Any, expected: tuple[str, ...]) -> None:
    net = nn.Linear(1, 1)
    net.names = names
    assert read_foreign(saved(tmp_path / "n.pt", {"model": net})).names == expected


def test_the_head_tells_the_layout() -> None:
    assert layout_of(["model.22.cv2.0.2.weight", "model.22.cv3.0.2.weight"]) == "ultralytics"
    assert layout_of(["model.24.anchors", "model.24.m.0.weight"]) == "yolov5"
    assert layout_of(["module.model.model.24.m.0.weight"]) == "yolov5"
    assert layout_of(["backbone.backbone.stem.conv.conv.weight", "head.cls_preds.0.weight"]) == "yolox"
    # A bottleneck of a C3 or C2f is no head.
    assert layout_of(["model.2.m.0.cv1.conv.weight", "fc.weight"]) == "unknown"
    assert layout_of([]) == "unknown"


def test_safetensors_are_read_directly(tmp_path: Path) -> None:
    state = {"a": torch.randn(2, 3), "b": torch.ones((), dtype=torch.bfloat16)}
    path = tmp_path / "w.safetensors"
    save_file(state, path, metadata={"license": "Apache-2.0\n"})
    checkpoint = read_foreign(path)
    assert_same(dict(sorted(checkpoint.tensors.items())), state)
    assert checkpoint.facts == {"license": "Apache-2.0 "} and checkpoint.layout == "unknown"
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(path).code == "YG433"


def numpy_file(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


OTHERS = {
    "empty": (b"", "YG433", "empty"),
    "web page": (b"\n<!DOCTYPE html><html>", "YG432", "web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "YG432", "LFS"),
    "numpy": (b"\x93NUMPY\x01\0", "YG432", "numpy"),
    "npz": (numpy_file(a=np.ones(2)), "YG432", "numpy"),
    "keras": (b"\x89HDF\r\n", "YG432", "HDF5"),
    "gzip": (b"\x1f\x8b\x08", "YG432", "gzip"),
    "pickle": (b"\x80\x04N.", "YG432", "pickle"),
    "onnx": (b"\x08\x09\x12\x07pytorch", "YG432", "no file of torch"),
    "zeros": (bytes(4096), "YG432", "no file of torch"),
    "cut": (b"PK\x03\x04" + bytes(100), "YG433", "cut off"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_told_apart(tmp_path: Path, kind: str) -> None:
    data, code, words = OTHERS[kind]
    path = tmp_path / "file.pt"
    path.write_bytes(data)
    error = refused(path)
    assert error.code == code and words in error.line()


def test_a_file_of_old_torch_says_how_to_convert_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pt", {"w": torch.ones(1)}, _use_new_zipfile_serialization=False)
    error = refused(path)
    assert error.code == "YG432" and "before 1.6" in error.cause and "torch.save(torch.load(" in error.fix


def test_no_file_a_folder_and_too_large_a_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pt").code == "YG430"
    assert refused(tmp_path).code == "YG430"
    path = saved(tmp_path / "large.pt", {"w": torch.ones(100)})
    assert refused(path, limits=Limits(file_bytes=300)).code == "YG431"


@pytest.mark.parametrize("value", [{}, {"a": 1}, [1, 2], 3, {"model": {}}, {"model": nn.ReLU()}, nn.ReLU()])
def test_a_file_without_weights(tmp_path: Path, value: Any) -> None:
    assert refused(saved(tmp_path / "none.pt", value)).code == "YG435"


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, 2).to_sparse(),
        torch.empty(2, device="meta"),
        torch.ones(2, dtype=torch.complex64).conj().imag,
        torch.ones(2).to(torch.float8_e4m3fn),
    ],
    ids=["complex", "sparse", "meta", "negated", "float8"],
)
def test_tensors_of_other_kinds_are_named(tmp_path: Path, tensor: Tensor) -> None:
    error = refused(saved(tmp_path / "kind.pt", {"fine": torch.ones(1), "layer.odd": tensor}))
    assert error.code == "YG437" and "layer.odd" in error.cause


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"w": torch.ones(1)})
    checkpoint = read_foreign(path)
    assert isinstance(checkpoint, ForeignCheckpoint)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
