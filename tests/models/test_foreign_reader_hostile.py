"""Files that mean harm, or make no sense: nothing in them runs, and each gets its one line in good time."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from yolograft.errors import MAX_LINE, CheckpointError
from yolograft.models.foreign import child, limits, read
from yolograft.models.foreign.index import index_of
from yolograft.models.foreign.limits import Limits
from yolograft.models.foreign.quarantine import Index, checked
from yolograft.models.foreign.read import read_foreign

FLOATS = torch.arange(6.0)


class Does:
    """Unpickled anywhere, it calls ``function(*args)``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


class Holds:
    """An object whose state holds something."""

    def __init__(self, held: Any) -> None:
        self.held = held


class Stored:
    """A storage of torch as its pickles name it."""

    def __init__(self, key: str, count: int, kind: Any = torch.FloatStorage) -> None:
        self.reference = ("storage", kind, key, "cpu", count)


class Writer(pickle.Pickler):
    """Writes `Stored` the way torch does."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.reference if isinstance(obj, Stored) else None


def pickled(value: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    Writer(buffer, protocol).dump(value)
    return buffer.getvalue()


def archive(path: Path, data: bytes, **members: bytes) -> Path:
    """A file as torch lays it out, with any pickle in it; `_0` is the storage 0."""
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("x/data.pkl", data)
        opened.writestr("x/byteorder", sys.byteorder)
        for name, content in ({"_0": FLOATS.numpy().tobytes()} | members).items():
            opened.writestr(f"x/data/{name[1:]}" if name.startswith("_") else f"x/{name}", content)
    return path


def tensor_of(*args: Any) -> Does:
    return Does(torch._utils._rebuild_tensor_v2, *args, False, OrderedDict())


def refused(path: Path, given: Limits = Limits()) -> CheckpointError:  # noqa: B008
    with pytest.raises(CheckpointError) as caught:
        read_foreign(path, limits=given)
    line = caught.value.line()
    assert len(line) <= MAX_LINE and line.isprintable() and caught.value.where == path.name
    return caught.value


def in_this_process(handle: BufferedReader, size: int, given: Limits) -> Index:
    """What the reading process does, without one."""
    return checked(json.dumps({"index": index_of(handle, size, given)}).encode(), size, given)


# What would write the canary, and how it is called.
CANARIES: dict[str, Callable[[Path], Does]] = {
    "os.system": lambda canary: Does(os.system, f"echo > {canary}"),
    "exec": lambda canary: Does(exec, f"open({str(canary)!r}, 'w').close()"),
    "eval": lambda canary: Does(eval, f"open({str(canary)!r}, 'w').close()"),
    "open": lambda canary: Does(open, str(canary), "w"),
    "mkdir": lambda canary: Does(os.mkdir, str(canary)),
    "popen": lambda canary: Does(subprocess.Popen, ["mkdir", str(canary)]),
    "touch": lambda canary: Does(Path.touch, canary),
    "indirect": lambda canary: Does(list, Does(map, os.mkdir, [str(canary)])),
}


def wrapped(canary: Does, how: str) -> Any:
    """The canary somewhere in a checkpoint that is fine otherwise."""
    state = {"w": FLOATS.clone()}
    net = nn.Linear(1, 1)
    net.held = [Holds({"deep": (canary,)})]
    held = Does(Holds, canary)
    return {
        "alone": canary,
        "beside": {"model": state, "optimizer": canary},
        "in a fact": {"model": state, "train_args": {"a": [canary]}},
        "as a tensor": {**state, "v": canary},
        "in a state": {"model": net},
        "as an argument": {"model": state, "x": held},
        "as a key": {"model": state, "x": {Holds(canary): 1}},
    }[how]


PLACES = ("alone", "beside", "in a fact", "as a tensor", "in a state", "as an argument", "as a key")


def save_with_canary(path: Path, value: Any, protocol: int) -> None:
    torch.save(value, path, pickle_protocol=protocol)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", CANARIES)
def test_the_canary_never_sings(tmp_path: Path, kind: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    place = PLACES[list(CANARIES).index(kind) % len(PLACES)]
    for how in {place, "beside"}:
        path = tmp_path / "hostile.pt"
        save_with_canary(path, wrapped(CANARIES[kind](canary), how), protocol)
        if kind == "touch":
            # On no list, and inert all the same.
            assert torch.equal(read_foreign(path).tensors["w"], FLOATS)
        else:
            assert refused(path).code == "YG439", how
        assert not canary.exists()


@pytest.mark.parametrize("how", PLACES)
def test_wherever_it_sits(tmp_path: Path, how: str) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "hostile.pt"
    save_with_canary(path, wrapped(CANARIES["mkdir"](canary), how), 2)
    error = refused(path)
    assert error.code == "YG439" and "mkdir" in error.cause and "nothing was run" in error.cause
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["mkdir", "exec", "touch", "indirect"])
def test_the_canary_is_alive(tmp_path: Path, kind: str) -> None:
    """The same files, unpickled as most programs do, do run: so silence above means something."""
    canary = tmp_path / "canary"
    path = tmp_path / "hostile.pt"
    save_with_canary(path, wrapped(CANARIES[kind](canary), "beside"), 2)
    torch.load(path, weights_only=False)
    assert canary.exists()


def stream(canary: Path, kind: str) -> bytes:
    """A pickle stream by hand, with the step in question."""
    text = str(canary).encode()
    word = b"X" + len(text).to_bytes(4, "little") + text
    name = b"X\x02\x00\x00\x00osX\x05\x00\x00\x00mkdir\x93"
    return {
        "INST": b"(V" + text + b"\nios\nmkdir\n.",
        "OBJ": b"(cos\nmkdir\n" + word + b"o.",
        "STACK_GLOBAL": b"\x80\x04" + name + word + b"\x85R.",
        "NEWOBJ": b"\x80\x04" + name + word + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + name + word + b"\x85}\x92.",
        "BUILD": b"\x80\x02cos\nmkdir\n" + word + b"\x85R}X\x01\x00\x00\x00aK\x01sb.",
        "DUP": b"\x80\x02cos\nmkdir\n" + word + b"\x85R2\x86.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT2": b"\x80\x02\x83\x01\x00" + word + b"\x85R.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "PERSID": b"Pos.mkdir\n.",
        "BINPERSID": b"\x80\x02" + word + b"Q.",
        "BINPERSID of a call": b"\x80\x02(X\x07\x00\x00\x00storagecos\nmkdir\n"
        + word
        + b"\x85R"
        + word
        + b"NK\x01tQ.",
        "NEXT_BUFFER": b"\x80\x05\x97.",
    }[kind]


STREAMS = [
    "INST", "OBJ", "STACK_GLOBAL", "NEWOBJ", "NEWOBJ_EX", "BUILD", "DUP", "EXT1", "EXT2", "EXT4", "PERSID",
    "BINPERSID", "BINPERSID of a call", "NEXT_BUFFER",
]  # fmt: skip


@pytest.mark.parametrize("kind", STREAMS)
def test_steps_written_by_hand(tmp_path: Path, kind: str) -> None:
    canary = tmp_path / "canary"
    error = refused(archive(tmp_path / "hand.pt", stream(canary, kind)))
    assert error.code in {"YG434", "YG439"} and not canary.exists()


@pytest.mark.parametrize("kind", ["INST", "OBJ", "STACK_GLOBAL"])
def test_those_steps_are_right(tmp_path: Path, kind: str) -> None:
    canary = tmp_path / "canary"
    pickle.loads(stream(canary, kind))
    assert canary.exists()


def test_a_class_of_ones_own_is_nothing_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    torch.save({"model": {"w": FLOATS}, "config": Holds(3)}, path)
    assert torch.equal(read_foreign(path).tensors["w"], FLOATS)


CLAIMS: dict[str, tuple[tuple[Any, ...], str]] = {
    "offset": ((Stored("0", 6), 1, (6,), (1,)), "YG434"),
    "far offset": ((Stored("0", 6), 1 << 60, (1,), (1,)), "YG434"),
    "negative offset": ((Stored("0", 6), -1, (1,), (1,)), "YG434"),
    "size": ((Stored("0", 6), 0, (7,), (1,)), "YG434"),
    "overflowing size": ((Stored("0", 6), 0, (1 << 40, 1 << 40), (0, 0)), "YG431"),
    "negative size": ((Stored("0", 6), 0, (-1,), (1,)), "YG434"),
    "true size": ((Stored("0", 6), 0, (True,), (1,)), "YG434"),
    "text size": ((Stored("0", 6), 0, "6", (1,)), "YG434"),
    "stride": ((Stored("0", 6), 0, (2, 3), (4, 1)), "YG434"),
    "negative stride": ((Stored("0", 6), 5, (6,), (-1,)), "YG434"),
    "huge stride": ((Stored("0", 6), 0, (2,), (1 << 70,)), "YG434"),
    "strides": ((Stored("0", 6), 0, (6,), (1, 1)), "YG434"),
    "dimensions": ((Stored("0", 6), 0, (1,) * 30, (1,) * 30), "YG434"),
    "expanded": ((Stored("0", 6), 0, (1 << 40,), (0,)), "YG431"),
    "larger storage": ((Stored("0", 7), 0, (6,), (1,)), "YG434"),
    "smaller storage": ((Stored("0", 5), 0, (5,), (1,)), "YG434"),
    "wider storage": ((Stored("0", 6, torch.DoubleStorage), 0, (6,), (1,)), "YG434"),
    "no storage": ((Stored("7", 6), 0, (6,), (1,)), "YG434"),
    "a path": ((Stored("../data.pkl", 6), 0, (6,), (1,)), "YG434"),
    "list": (([1.0] * 6, 0, (6,), (1,)), "YG434"),
    "foreign storage": ((Stored("0", 6, Holds), 0, (6,), (1,)), "YG437"),
}


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_claim_that_does_not_hold(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "ask", in_this_process)
    args, code = CLAIMS[kind]
    path = archive(tmp_path / "claim.pt", pickled({"w": tensor_of(*args)}))
    error = refused(path)
    assert error.code == code and ("'w'" in error.cause or code == "YG431")


def test_a_claim_that_holds(tmp_path: Path) -> None:
    state = {"w": tensor_of(Stored("0", 6), 1, (2, 2), (2, 1)), "v": tensor_of(Stored("0", 6), 2, (5,), (0,))}
    tensors = read_foreign(archive(tmp_path / "claim.pt", pickled(state))).tensors
    assert tensors["w"].tolist() == [[1, 2], [3, 4]] and tensors["v"].tolist() == [2] * 5


LIES = {
    "no JSON": b"garbage",
    "nothing": b"",
    "no index": b"{}",
    "a list": b"[1]",
    "unknown code": b'{"error": ["YG101", "x", ""]}',
    "no code": b'{"error": "x"}',
    "too much": b'{"index": {"tensors": 3}}',
}


@pytest.mark.parametrize("kind", LIES)
def test_the_answer_of_the_process_is_not_trusted(kind: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        checked(LIES[kind], 1000, Limits())
    assert caught.value.code == "YG436" and caught.value.line().isprintable()


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": [1 << 40]},
        {"offset": 90},
        {"stride": [-1], "shape": [2]},
        {"dtype": "object"},
        {"storage": "1"},
        {"storage_bytes": 44},
        {"at": 980},
        {"at": -40, "crc": 0},
        {"size": 4000, "storage_bytes": 4000},
    ],
    ids=str,
)
def test_nor_is_an_index_that_reaches_out_of_the_file(lie: dict[str, Any]) -> None:
    claim = {
        "dtype": "float32",
        "shape": [10],
        "stride": [1],
        "offset": 0,
        "storage": "0",
        "storage_bytes": 40,
    }
    stretch = {"at": 100, "size": 40, "crc": 0}
    index = {"tensors": {"w": claim}, "small": {}, "storages": {"0": stretch}, "facts": {}, "names": []}
    checked(json.dumps({"index": index}).encode(), 1000, Limits())
    for key, value in lie.items():
        (stretch if key in stretch else claim)[key] = value
    with pytest.raises(CheckpointError) as caught:
        checked(json.dumps({"index": index}).encode(), 1000, Limits())
    assert caught.value.code == "YG434"


def test_an_index_whose_storages_lie_upon_each_other() -> None:
    """One stretch of the file under many names would be read once for each."""
    claim = {"dtype": "uint8", "shape": [1], "stride": [1], "offset": 0, "storage_bytes": 400}
    stretch = {"at": 100, "size": 400, "crc": 0}
    rest = {"small": {}, "facts": {}, "names": []}
    for count in (2, 3):
        tensors = {f"w{i}": claim | {"storage": str(i)} for i in range(count)}
        index = {"tensors": tensors, "storages": {str(i): stretch for i in range(count)}, **rest}
        if count == 2:
            checked(json.dumps({"index": index}).encode(), 1000, Limits())
            continue
        with pytest.raises(CheckpointError, match="YG434 its storages overlap"):
            checked(json.dumps({"index": index}).encode(), 1000, Limits())


def test_keys_of_safetensors_are_held_to_the_same(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "keys.safetensors"
    save_file({"a\x1b]0;x\x07b": FLOATS}, path)
    assert refused(path).code == "YG434"
    save_file({"a": FLOATS, "b" * 9: FLOATS.clone()}, path)
    assert refused(path, Limits(key=8)).code == refused(path, Limits(tensors=1)).code == "YG431"
    assert read_foreign(path, limits=Limits(key=9, tensors=2)).tensors.keys() == {"a", "b" * 9}


def test_errors_pass_through_without_control_characters() -> None:
    answer = json.dumps({"error": ["YG433", "a\x1b[2J\nb", ""]}).encode()
    with pytest.raises(CheckpointError) as caught:
        checked(answer, 10, Limits())
    assert caught.value.line() == "YG433 a [2J b"


def small_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    net.names = ["a", "b"]
    torch.save({"ema": net, "epoch": 3, "train_args": {"lr": 0.1}}, path)
    return net.state_dict()


def mutated(data: bytes, draw: random.Random) -> bytes:
    """One to four bytes changed, or the end, a piece of the middle, or both cut off."""
    raw = bytearray(data)
    how = draw.randrange(4)
    if how == 0:
        return bytes(raw[: draw.randrange(len(raw))])
    if how == 1:
        at = draw.randrange(len(raw))
        del raw[at : at + draw.randrange(1, 40)]
        return bytes(raw)
    for _ in range(draw.randrange(1, 5)):
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    return bytes(raw)


def test_a_damaged_file_gives_one_line_or_is_read_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "whole.pt"
    expected = small_checkpoint(path)
    data = path.read_bytes()
    monkeypatch.setattr(read, "ask", in_this_process)
    draw = random.Random(0)
    codes = set()
    for _ in range(500):
        path.write_bytes(mutated(data, draw))
        try:
            tensors = read_foreign(path).tensors
        except CheckpointError as error:
            assert len(error.line()) <= MAX_LINE and error.line().isprintable()
            codes.add(error.code)
            continue
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    assert {"YG432", "YG433"} <= codes


def test_a_damaged_description_gives_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksums are right here: somebody meant it."""
    path = tmp_path / "whole.pt"
    small_checkpoint(path)
    with zipfile.ZipFile(path) as opened:
        members = {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}
    data = members.pop("data.pkl")
    storages = {f"_{name[5:]}": content for name, content in members.items() if name.startswith("data/")}
    monkeypatch.setattr(read, "ask", in_this_process)
    draw = random.Random(1)
    whole = 0
    for _ in range(500):
        archive(path, mutated(data, draw), **storages)
        try:
            read_foreign(path)
            whole += 1
        except CheckpointError as error:
            assert len(error.line()) <= MAX_LINE and error.line().isprintable()
    assert 0 < whole < 400


def test_a_few_of_them_in_the_real_process(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    small_checkpoint(path)
    data = path.read_bytes()
    draw = random.Random(2)
    for _ in range(8):
        path.write_bytes(mutated(data, draw))
        try:
            read_foreign(path)
        except CheckpointError as error:
            assert error.code in {"YG432", "YG433", "YG434"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"\x80\x02", b"0.", b"(.", b"N", b"t.", b"\x80\x02h\x00.", b"\x80\x02}K\x01s.",
        b"]K\x01s.", b"NK\x01a.", b"\x80\x02)K\x01\x93.", b"N}b.", b"NNR.", b"\xff.",
        b"\x80\x02X\xff\xff\xff\x7fabc",
        b"\x80\x04\x8d" + b"\xff" * 8 + b"abc", b"I" + b"9" * 5000 + b"\n.", b"F1e\n.", b"\x8a\xff\x00.",
        b"S'\\xZZ'\n.", b"(K\x01d.", b"(K\x01uN.",
    ],
)  # fmt: skip
def test_streams_without_sense(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "ask", in_this_process)
    assert refused(archive(tmp_path / "odd.pt", data)).code in {"YG433", "YG435"}


def test_modules_without_end(tmp_path: Path) -> None:
    ring = nn.Sequential(nn.Linear(1, 1))
    ring._modules["ring"] = ring
    torch.save({"model": ring}, tmp_path / "ring.pt")
    assert refused(tmp_path / "ring.pt", Limits(key=10_000)).code == "YG431"
    for leaf in (nn.Linear(1, 1), nn.ReLU()):
        tree = nn.Sequential(leaf)
        for _ in range(40):
            tree = nn.Sequential(tree, tree)
        torch.save({"model": tree}, tmp_path / "tree.pt")
        assert refused(tmp_path / "tree.pt", Limits(tensors=2000, seconds=20)).code == "YG431"


def test_depth_without_end(tmp_path: Path) -> None:
    """Two hundred thousand tuples in one another: nothing here may recurse into them."""
    deep = b"N" + b"\x85" * 200_000
    state = pickled({"w": tensor_of(Stored("0", 6), 0, (6,), (1,))})[2:-1]
    data = b"\x80\x02}(X\x05\x00\x00\x00model" + state + b"X\x0a\x00\x00\x00train_args" + deep + b"u."
    assert torch.equal(read_foreign(archive(tmp_path / "deep.pt", data)).tensors["w"], FLOATS)
    as_key = b"\x80\x02}(X\x05\x00\x00\x00model" + state + b"X\x01\x00\x00\x00x}" + deep + b"Nsu."
    assert torch.equal(read_foreign(archive(tmp_path / "key.pt", as_key)).tensors["w"], FLOATS)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        opened.writestr("x/data.pkl", bytes(20_000_000))
    assert path.stat().st_size < 30_000
    assert refused(path).code == "YG434"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_torch_does_not_write(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pt", pickled({}))
    good = path.read_bytes()
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("x/data.pkl", pickled({}))
    assert refused(path).code == "YG434"
    state = {"w": tensor_of(Stored("0", 6), 0, (6,), (1,))}
    with zipfile.ZipFile(archive(path, pickled(state)), "a") as opened:
        opened.writestr("x/data/0", bytes(24))
    assert refused(path).code == "YG434"
    path.write_bytes(good)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("y/data.pkl", pickled({}))
    assert refused(path).code == "YG434"
    assert refused(archive(path, pickled({}), **{"constants.pkl": b""})).code == "YG432"
    assert refused(archive(path, pickled({}), **{"code/m.py": b""})).code == "YG432"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("readme.txt", "")
    assert refused(path).code == "YG432"


def test_numbers_of_another_byte_order(tmp_path: Path) -> None:
    other = "big" if sys.byteorder == "little" else "little"
    path = tmp_path / "big.pt"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("x/data.pkl", pickled({}))
        opened.writestr("x/byteorder", other)
    assert refused(path).code == "YG438"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("x/data.pkl", pickled({}))
        opened.writestr("x/byteorder", "x" * 1000)
    assert refused(path).code == "YG438"


def test_limits_on_the_description(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({f"layer{i}": FLOATS.clone() for i in range(20)}, path)
    for given in (
        Limits(opcodes=50),
        Limits(pickle_bytes=100),
        Limits(tensors=19),
        Limits(text=3),
        Limits(key=5),
    ):
        assert refused(path, given).code == "YG431"
    assert len(read_foreign(path, limits=Limits(tensors=20)).tensors) == 20


def test_a_process_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    path = archive(tmp_path / "long.pt", b"N0" * 2_000_000 + b"N.")
    error = refused(path, Limits(seconds=0.2, opcodes=1 << 40))
    assert error.code == "YG436" and "0.2 seconds" in error.cause


walls = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not every platform has these walls")


@walls
def test_a_process_that_computes_too_long_is_stopped(tmp_path: Path) -> None:
    path = archive(tmp_path / "long.pt", b"N0" * 3_000_000 + b"N.")
    assert refused(path, Limits(cpu_seconds=1, opcodes=1 << 40)).code == "YG436"


@walls
def test_a_process_that_fills_the_memory_is_stopped(tmp_path: Path) -> None:
    path = archive(tmp_path / "wide.pt", b"]" * 1_500_000 + b".")
    assert refused(path, Limits(memory=96 * limits.MIB)).code in {"YG431", "YG436"}


@walls
def test_behind_the_walls_no_file_opens(tmp_path: Path) -> None:
    source = Path(child.__file__).resolve().parents[3]
    text = (
        f"import sys; sys.path.append({str(source)!r})\n"
        "from yolograft.models.foreign.limits import Limits, confine\n"
        "confine(Limits())\n"
        f"open({str(tmp_path / 'canary')!r}, 'w')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and "OSError" in done.stderr and not (tmp_path / "canary").exists()


def test_the_process_needs_nothing_installed() -> None:
    """-S: without installed packages there is no torch, no numpy, no pydantic to load."""
    source = Path(child.__file__).resolve().parents[3]
    text = (
        f"import sys; sys.path.append({str(source)!r})\n"
        "import yolograft.models.foreign.index, yolograft.models.foreign.limits\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in ('torch', 'numpy', 'socket')))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, encoding="utf-8")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_checksum_is_what_tells_damage(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"w": FLOATS}, path)
    raw = bytearray(path.read_bytes())
    at = raw.find(FLOATS.numpy().tobytes())
    assert zlib.crc32(raw[at : at + 24]) == zlib.crc32(FLOATS.numpy().tobytes())
    raw[at + 3] ^= 1
    path.write_bytes(raw)
    assert refused(path).code == "YG433"
