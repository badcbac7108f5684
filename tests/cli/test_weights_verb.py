"""``yolograft weights``: the path alone on standard output, remarks beside it, or one line."""

from __future__ import annotations

import hashlib
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request
from urllib.response import addinfourl

import pytest

from yolograft.cli.download_bar import DownloadBar
from yolograft.models import release

CONTENT = b"weights" * 1000


class Canned(HTTPSHandler):
    """Gives the same bytes for every address; no network."""

    def https_open(self, req: Request) -> Any:
        from email.message import Message

        headers = Message()
        headers["Content-Length"] = str(len(CONTENT))
        answer = addinfourl(BytesIO(CONTENT), headers, req.full_url, 200)
        answer.msg = "OK"  # type: ignore[attr-defined]
        return answer


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(tmp_path))
    monkeypatch.delenv("YOLOGRAFT_WEIGHTS", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release with a pin, behind https that never leaves this process."""
    pins = {"yolox_s.pth": hashlib.sha256(CONTENT).hexdigest()}
    official = release.Release("https://release.invalid/", pins)
    opener = release.https_opener(Canned(), ProxyHandler({}))
    monkeypatch.setattr(
        release, "find_release", partial(release.find_release, release=official, opener=opener)
    )


def test_the_path_stands_alone(command: Any, cache: Path) -> None:
    cache.mkdir()
    (cache / "yolox_s.pth").write_bytes(CONTENT)
    answer = command("weights", "yolox-s")
    assert (answer.code, answer.out) == (0, f"{cache / 'yolox_s.pth'}\n")
    assert hashlib.sha256(CONTENT).hexdigest() in answer.err and "no sha256 is pinned" in answer.err
    assert "没有固定的 sha256" in command("weights", "yolox-s", "--lang", "zh").err
    document = command("weights", "yolox-s", "--json")
    assert document.err == "" and document.json["file"] == str(cache / "yolox_s.pth")
    assert document.json["pinned"] is False and document.json["licence"] == ""


def test_a_pinned_file_is_fetched_once(command: Any, cache: Path, fetching: None) -> None:
    answer = command("weights", "yolox-s")
    assert (answer.code, answer.out) == (0, f"{cache / 'yolox_s.pth'}\n")
    assert "MiB" in answer.err and "Apache-2.0" in answer.err
    assert (cache / "yolox_s.pth").read_bytes() == CONTENT
    again = command("weights", "yolox-s", "--json")
    assert again.err == "" and again.json["downloaded"] is False and again.json["licence"] == "Apache-2.0"
    # No pin for this one.
    assert command("weights", "yolox-m").err.startswith("YG450 https://release.invalid/yolox_m.pth: ")


@pytest.mark.parametrize(
    ("model", "code"), [("yolox-s", "YG450"), ("yolov8n", "YG451"), ("yolov5s", "YG451"), ("yolo", "YG106")]
)
@pytest.mark.parametrize("json", [(), ("--json",)])
def test_one_line_when_there_is_none(model: str, code: str, json: tuple[str, ...], command: Any) -> None:
    answer = command("weights", model, *json)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"{code} ") and answer.err.count("\n") == 1 and len(answer.err) <= 241


@pytest.mark.parametrize(("size", "lines"), [(1 << 30, 11), (None, 17)])
def test_progress_is_told_in_few_lines(
    size: int | None, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with DownloadBar("yolox-x") as bar:
        for done in range(1 << 20, (1 << 30) + 1, 1 << 20):
            bar.received(done, size)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == lines and "1024.0" in err
