from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolograft.errors import MAX_LINE, ModuleError
from yolograft.models import usercode
from yolograft.models.usercode import adapt, load_installed_class, load_reference, load_user_class

SOURCE = """# Ein Kommentar: größer
from dataclasses import dataclass
import torch
from torch import nn

RUNS = []
RUNS.append(1)

@dataclass
class Settings:
    k: int = 3

class MyAtt(nn.Module):
    def __init__(self, channels, k=3):
        super().__init__()
        if k % 2 == 0:
            raise ValueError(f"k must be odd, not {k}")
        self.conv = nn.Conv2d(channels, channels, k, padding=k // 2)

    def forward(self, x):
        return x * self.conv(x).sigmoid()

class YourAtt(MyAtt):
    pass

class Plain:
    pass

def function():
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_att.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def written(tmp_path: Path, body: str, name: str = "own.py") -> Path:
    path = tmp_path / name
    path.write_text(body, encoding="utf-8")
    return path


def classes(tmp_path: Path, signature: str, body: str = "pass") -> usercode.UserClass:
    """A class ``A`` with this constructor signature; the arguments it received stand in ``got``."""
    text = f"from torch import nn\n\nclass A(nn.Module):\n    def __init__(self{signature}):\n"
    text += f"        super().__init__()\n        self.got = dict(locals())\n        {body}\n"
    return load_user_class(written(tmp_path, text), "A")


def refusal(code: str, *words: str):
    return pytest.raises(ModuleError, match="(?s)" + "".join(f"(?=.*{word})" for word in (code, *words)))


def test_a_class_comes_with_its_text_and_hash(file: Path) -> None:
    user = load_user_class(file, "MyAtt")
    assert user.cls.__name__ == user.class_name == "MyAtt"
    assert user.path == str(file)
    assert user.source == SOURCE
    assert user.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_user_class(file, "MyAtt", expected_sha256=user.sha256.upper()).cls is user.cls


def test_the_same_bytes_run_once_and_changed_bytes_run_anew(file: Path) -> None:
    first = load_user_class(file, "MyAtt")
    again = load_user_class(str(file), "YourAtt")
    module = sys.modules[first.cls.__module__]
    assert again.cls.__module__ == first.cls.__module__
    assert module.RUNS == [1]
    # Same length, same second: a byte-code cache keyed by size and time would serve the old code.
    file.write_text(SOURCE.replace("k % 2 == 0", "k % 2 == 1"), encoding="utf-8")
    changed = load_user_class(file, "MyAtt")
    assert changed.sha256 != first.sha256 and changed.cls is not first.cls
    changed.cls(4, k=4)  # type: ignore[call-arg]
    assert not list(file.parent.glob("__pycache__"))


def test_nothing_runs_when_the_hash_differs(tmp_path: Path) -> None:
    trap = written(tmp_path, f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with refusal("YG224", "has changed"):
        load_user_class(trap, "A", expected_sha256="0" * 64)
    assert not (tmp_path / "ran").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    with refusal("YG220", "nowhere.py"):
        load_user_class(tmp_path / "nowhere.py", "A")
    with refusal("YG220"):
        load_user_class(tmp_path / ".", "A")


def test_a_missing_class_lists_the_nearest_first(file: Path) -> None:
    with pytest.raises(ModuleError) as caught:
        load_user_class(file, "MyAttn")
    assert caught.value.code == "YG222"
    assert caught.value.fix == "nn.Module classes here: MyAtt, YourAtt"


@pytest.mark.parametrize(
    ("name", "what"), [("Plain", "a class"), ("function", "a function"), ("RUNS", "a list")]
)
def test_what_is_no_module_class(file: Path, name: str, what: str) -> None:
    with refusal("YG223", what):
        load_user_class(file, name)


@pytest.mark.parametrize(
    ("body", "line", "word"),
    [
        ("import torch\n\nboom = 1 / 0\n", 3, "ZeroDivisionError"),
        ("x = 1\ndef f(:\n", 2, "SyntaxError"),
        ("x = 1\n\n\nimport not_there_at_all\n", 4, "not_there_at_all"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
)
def test_a_failing_import_names_the_users_own_line(tmp_path: Path, body: str, line: int, word: str) -> None:
    path = written(tmp_path, body)
    with refusal("YG221", word) as caught:
        load_user_class(path, "A")
    assert caught.value.where == f"{path.resolve()}:{line}"
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= MAX_LINE
    with refusal("YG221"):  # a failed module is not kept
        load_user_class(path, "A")


def test_other_encodings_are_read_as_python_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "latin.py"
    text = "# -*- coding: latin-1 -*-\nfrom torch import nn\nNAME = 'größer'\n\nclass A(nn.Module): ...\n"
    path.write_bytes(text.encode("latin-1"))
    user = load_user_class(path, "A")
    assert "größer" in user.source and sys.modules[user.cls.__module__].NAME == "größer"


def test_installed_classes() -> None:
    user = load_user_class("torch.nn", "Conv2d")
    assert user.cls is torch.nn.Conv2d
    assert user.reference == "torch.nn::Conv2d"
    assert "class Conv2d" in user.source and len(user.sha256) == 64
    assert load_installed_class("torch.nn", "Conv2d", expected_sha256=user.sha256) == user
    with refusal("YG224"):
        load_installed_class("torch.nn", "Conv2d", expected_sha256="0" * 64)
    with refusal("YG225", "not_there_at_all"):
        load_installed_class("not_there_at_all.sub", "A")
    with refusal("YG225", "not_there"):
        load_installed_class("torch.not_there", "A")
    with refusal("YG225"):
        load_installed_class("..relative", "A")
    with refusal("YG222", "Conv2d"):
        load_installed_class("torch.nn", "Konv2d")


def test_an_installed_module_that_fails_names_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "x = 1\nimport not_there_at_all\n", "fails_on_import.py")
    monkeypatch.syspath_prepend(tmp_path)
    with refusal("YG221", "not_there_at_all") as caught:
        load_installed_class("fails_on_import", "A")
    assert caught.value.where == f"{path}:2"


def test_references(file: Path) -> None:
    assert load_reference(f"{file}::MyAtt").cls is load_user_class(file, "MyAtt").cls
    assert load_reference("torch.nn::Conv2d").cls is torch.nn.Conv2d
    for wrong in ("MyAtt", "::MyAtt", "a.py::", "a.py::My Att", "a.py:MyAtt"):
        with refusal("YG226"):
            load_reference(wrong)


@pytest.mark.parametrize("name", ["in_channels", "channels", "channel", "in_planes", "inp", "c1", "dim"])
def test_a_known_first_parameter_receives_the_channel_count(tmp_path: Path, name: str) -> None:
    module, line = adapt(classes(tmp_path, f", {name}, k=3"), 24, {})
    assert module.got[name] == 24 and module.got["k"] == 3  # type: ignore[index]
    assert line.endswith(f"A({name}=24); channel count to {name}") and "\n" not in line


@pytest.mark.parametrize(
    ("signature", "options", "expected"),
    [
        (", c1, c2", {}, {"c1": 24, "c2": 24}),
        (", inp, oup, reduction=32", {"reduction": 8}, {"inp": 24, "oup": 24, "reduction": 8}),
        (", in_channels, out_channels", {}, {"in_channels": 24, "out_channels": 24}),
        (", in_channels, out_channels", {"out_channels": 48}, {"in_channels": 24, "out_channels": 48}),
        (", in_channels, out_channels=None", {}, {"in_channels": 24, "out_channels": None}),
        (", c1, c2=5", {"c2": 7}, {"c1": 24, "c2": 7}),
        (", e_lambda=1e-4", {}, {"e_lambda": 1e-4}),
        (", e_lambda=1e-4", {"e_lambda": 0.5}, {"e_lambda": 0.5}),
        (", dim, /, k, *, gate=True", {"k": 5, "gate": False}, {"dim": 24, "k": 5, "gate": False}),
        (", dim, *args, **kwargs", {"k": 5}, {"dim": 24, "args": (), "kwargs": {"k": 5}}),
        (", dim", {"dim": 24}, {"dim": 24}),
        ("", {}, {}),
    ],
)
def test_signatures_are_adapted(
    tmp_path: Path, signature: str, options: dict[str, usercode.Option], expected: dict[str, object]
) -> None:
    module, _ = adapt(classes(tmp_path, signature), 24, options)
    got = {k: v for k, v in module.got.items() if k not in ("self", "__class__")}  # type: ignore[union-attr,operator]
    assert got == expected


def test_a_class_without_a_constructor(tmp_path: Path) -> None:
    text = "from torch import nn\n\nclass A(nn.Module):\n    def forward(self, x):\n        return x\n"
    user = load_user_class(written(tmp_path, text), "A")
    module, line = adapt(user, 8, {})
    assert module(torch.ones(1)) == 1 and line.endswith("A(); channel count to no parameter")
    with refusal("YG227", "no options"):
        adapt(user, 8, {"k": 1})


def test_an_unknown_option_names_the_nearest(tmp_path: Path) -> None:
    user = classes(tmp_path, ", channels, kernel=3, reduction=16")
    with refusal("YG227", "reducton") as caught:
        adapt(user, 8, {"reducton": 4})
    assert caught.value.fix.startswith("it accepts: reduction,")


def test_a_contradicting_channel_count(tmp_path: Path) -> None:
    with refusal("YG227", "8 channels"):
        adapt(classes(tmp_path, ", channels"), 8, {"channels": 16})


@pytest.mark.parametrize(
    ("signature", "name", "example"),
    [(", channels, k: int", "k", "k=7"), (", ch", "ch", "ch=VALUE"), (", dim, *, p: float", "p", "p=0.5")],
)
def test_a_missing_parameter_says_how_to_give_it(
    tmp_path: Path, signature: str, name: str, example: str
) -> None:
    user = classes(tmp_path, signature)
    with refusal("YG228", f"'{name}'") as caught:
        adapt(user, 8, {})
    assert caught.value.fix == f"give it: {user.reference}:{example}"


def test_a_raising_constructor_names_its_line(file: Path) -> None:
    user = load_user_class(file, "MyAtt")
    with refusal("YG229", "k must be odd", "channels=8, k=2") as caught:
        adapt(user, 8, {"k": 2})
    line = SOURCE.splitlines().index('            raise ValueError(f"k must be odd, not {k}")') + 1
    assert caught.value.where == f"{file.resolve()}:{line}"


@given(st.integers(1, 64), st.sampled_from([1, 3, 5]))
def test_an_adapted_module_runs(channels: int, k: int) -> None:
    user = load_user_class("torch.nn", "Conv2d")
    module, _ = adapt(user, channels, {"kernel_size": k, "padding": k // 2, "bias": False})
    assert module(torch.zeros(1, channels, 3, 4)).shape == (1, channels, 3, 4)
