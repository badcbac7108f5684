"""Official weights: found where they lie, fetched only against a pin, and never half there."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

import pytest

from yolograft.errors import MAX_LINE, CheckpointError, MachineError, SpecError, YolograftError
from yolograft.models.release import (
    FILES,
    FOLDER_VARIABLE,
    OFFICIAL,
    PINS,
    Release,
    find_release,
    https_opener,
    release_file,
)

CONTENT = bytes(range(256)) * 9000  # more than two chunks of a megabyte
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = "yolox_s.pth"


class Answers(BaseHTTPRequestHandler):
    """Answers by the first part of the path: what a server may do well or badly."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "ok":
            self._send(CONTENT)
        elif kind == "unannounced":
            self._send(CONTENT, announce=False)
        elif kind == "truncated":
            self._send(CONTENT, part=len(CONTENT) // 2)
        elif kind == "login":
            self._send(b"<html>please log in</html>")
        elif kind == "slow":
            self._send(CONTENT, part=1 << 20, wait=20.0)
        elif kind in ("moved", "moved-to-http", "moved-to-file"):
            self.send_response(302)
            target = {"moved": "/ok/", "moved-to-http": "http://127.0.0.1:1/", "moved-to-file": "file:///"}
            self.send_header("Location", target[kind] + NAME)
            self.end_headers()
        elif kind == "reset":
            self.connection.close()
        else:
            self.send_error(int(kind))

    def _send(self, data: bytes, *, announce: bool = True, part: int | None = None, wait: float = 0) -> None:
        self.send_response(200)
        if announce:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data[:part])
            self.wfile.flush()
            self.server.gone.wait(wait)  # type: ignore[attr-defined]
        except OSError:
            pass  # the other side has heard enough

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on this machine alone; the address of its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.gone = threading.Event()  # type: ignore[attr-defined]
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.gone.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as root:
        yield root


@pytest.fixture(autouse=True)
def no_folder_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def plain_opener() -> OpenerDirector:
    """The production opener that knows http too and asks no proxy: for a server on this machine."""
    return https_opener(HTTPHandler(), ProxyHandler({}))


def never() -> OpenerDirector:
    """An opener nobody may use."""

    class Closed(HTTPSHandler):
        def https_open(self, req: object) -> object:  # type: ignore[override]
            raise AssertionError("the network was touched")

    return https_opener(Closed(), ProxyHandler({}))


def pinned(root: str, kind: str, *, pin: str = DIGEST, most: int = 1 << 30) -> Release:
    return Release(f"{root}/{kind}/", {NAME: pin}, most)


def test_the_pins_table_waits_for_a_person() -> None:
    assert dict(PINS) == {} and OFFICIAL.pins is PINS
    assert OFFICIAL.base.startswith("https://")


def test_names_are_those_of_the_release() -> None:
    assert list(FILES) == [f"yolox-{scale}" for scale in ("nano", "tiny", "s", "m", "l", "x")]
    assert all(file == model.replace("-", "_") + ".pth" for model, file in FILES.items())


@pytest.mark.parametrize("model", FILES)
def test_without_a_pin_nothing_is_fetched(model: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        find_release(model, cache=tmp_path / "cache", opener=never())
    line = caught.value.line()
    assert line.startswith("YG450 https://") and FILES[model] in line and len(line) <= MAX_LINE
    assert str(tmp_path / "cache") in line
    assert list(tmp_path.iterdir()) == []


def test_the_line_has_room_for_the_usual_folder() -> None:
    with pytest.raises(CheckpointError) as caught:
        find_release("yolox-nano", cache=Path.home() / ".cache" / "yolograft" / "weights", opener=never())
    assert "~/.cache/yolograft/weights" in caught.value.line()
    assert caught.value.line().endswith("the sha256 it prints")


@pytest.mark.parametrize("model", ["yolov5n", "yolov5x", "yolov8n", "yolov8s"])
def test_agpl_weights_are_never_looked_for(model: str, tmp_path: Path) -> None:
    (tmp_path / f"{model}.pt").write_bytes(b"theirs")
    with pytest.raises(CheckpointError) as caught:
        find_release(model, cache=tmp_path, opener=never())
    assert caught.value.code == "YG451"
    assert "AGPL-3.0" in caught.value.line() and "--weights FILE.pt" in caught.value.line()


@pytest.mark.parametrize("model", ["yolox", "yolox-q", "", "yolov9t", "../yolox-s", "yolox_s.pth"])
def test_other_names_are_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        find_release(model, cache=tmp_path, opener=never())
    assert caught.value.code == "YG106" and "yolox-nano" in caught.value.fix


def test_a_file_put_there_by_hand_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, cache = tmp_path / "own", tmp_path / "cache"
    for folder, content in ((own, b"mine"), (cache, b"cached")):
        folder.mkdir()
        (folder / NAME).write_bytes(content)
    found = find_release("yolox-s", cache=cache, opener=never())
    assert found.path == cache / NAME and found.sha256 == hashlib.sha256(b"cached").hexdigest()
    assert not found.pinned and not found.downloaded
    # The user's own folder comes first, and may lack the file or not exist.
    monkeypatch.setenv(FOLDER_VARIABLE, str(own))
    assert find_release("yolox-s", cache=cache, opener=never()).path == own / NAME
    assert release_file("yolox-s", cache=cache) == own / NAME
    (own / NAME).unlink()
    assert release_file("yolox-s", cache=cache) == cache / NAME
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    assert release_file("yolox-s", cache=cache) == cache / NAME
    with pytest.raises(CheckpointError, match="nowhere"):
        release_file("yolox-m", cache=cache)


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(CheckpointError, match="YG450"):
        release_file("yolox-s", cache=tmp_path)


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"something else")
    release = Release("https://release.invalid/", {NAME: DIGEST})
    with pytest.raises(CheckpointError) as caught:
        find_release("yolox-s", cache=tmp_path, release=release, opener=never())
    assert caught.value.code == "YG452" and (tmp_path / NAME).read_bytes() == b"something else"


@pytest.mark.parametrize("kind", ["ok", "unannounced"])
def test_a_pinned_file_arrives_whole(kind: str, server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = find_release(
        "yolox-s",
        cache=tmp_path / "new" / "cache",
        release=pinned(server, kind),
        opener=plain_opener(),
        progress=lambda done, size: seen.append((done, size)),
    )
    assert found.path.read_bytes() == CONTENT and found.sha256 == DIGEST
    assert found.pinned and found.downloaded
    assert [file.name for file in found.path.parent.iterdir()] == [NAME]
    assert len(seen) >= 3 and sorted(seen) == seen
    assert seen[-1] == (len(CONTENT), len(CONTENT) if kind == "ok" else None)
    again = find_release(
        "yolox-s", cache=tmp_path / "new" / "cache", release=pinned(server, kind), opener=never()
    )
    assert again.path == found.path and again.pinned and not again.downloaded


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("login", "YG454", "pinned is"),
        ("truncated", "YG453", f"of {len(CONTENT)} bytes"),
        ("404", "YG453", "404"),
        ("503", "YG453", "503"),
        ("reset", "YG453", "cannot download"),
        ("moved", "YG453", "without https"),
        ("moved-to-http", "YG453", "without https"),
        ("moved-to-file", "YG453", "302"),
    ],
)
def test_what_goes_wrong_leaves_nothing(
    kind: str, code: str, words: str, server: str, tmp_path: Path
) -> None:
    with pytest.raises(MachineError) as caught:
        find_release("yolox-s", cache=tmp_path, release=pinned(server, kind), opener=plain_opener())
    line = caught.value.line()
    assert line.startswith(f"{code} {server}/{kind}/{NAME}: ") and words in line and len(line) <= MAX_LINE
    assert code == "YG454" or str(tmp_path)[:20] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ok", "unannounced"])
@pytest.mark.parametrize("room", [len(CONTENT) - 1, 1000, 0])
def test_a_file_over_the_cap_is_not_kept(kind: str, room: int, server: str, tmp_path: Path) -> None:
    release = pinned(server, kind, most=room)
    with pytest.raises(MachineError, match=r"YG454.*larger than"):
        find_release("yolox-s", cache=tmp_path, release=release, opener=plain_opener())
    assert list(tmp_path.iterdir()) == []
    exact = pinned(server, kind, most=len(CONTENT))
    assert find_release("yolox-s", cache=tmp_path, release=exact, opener=plain_opener()).downloaded


def test_production_knows_no_http(server: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="unknown url type: http"):
        find_release("yolox-s", cache=tmp_path, release=pinned(server, "ok"))
    assert list(tmp_path.iterdir()) == []


def test_offline_gives_address_and_folder(tmp_path: Path) -> None:
    # Nobody listens on port 1.
    release = Release("http://127.0.0.1:1/", {NAME: DIGEST})
    with pytest.raises(MachineError) as caught:
        find_release("yolox-s", cache=tmp_path, release=release, opener=plain_opener())
    assert caught.value.code == "YG453" and caught.value.exit_code == 3
    assert caught.value.where == f"http://127.0.0.1:1/{NAME}" and str(tmp_path) in caught.value.fix


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_interruption_leaves_nothing(stop: type[BaseException], server: str, tmp_path: Path) -> None:
    def interrupt(done: int, size: int | None) -> None:
        assert len(list(tmp_path.iterdir())) == 1 and not (tmp_path / NAME).exists()
        raise stop

    release = pinned(server, "ok")
    with pytest.raises(stop):
        find_release("yolox-s", cache=tmp_path, release=release, opener=plain_opener(), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


CHILD = """
import sys
from pathlib import Path
from urllib.request import HTTPHandler, ProxyHandler
from yolograft.models.release import Release, find_release, https_opener
assert "torch" not in sys.modules
find_release("yolox-s", cache=Path(sys.argv[1]), release=Release(sys.argv[2], {"yolox_s.pth": sys.argv[3]}),
             opener=https_opener(HTTPHandler(), ProxyHandler({})))
"""


def test_a_killed_download_is_never_found_under_its_name(server: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", CHILD, str(tmp_path), f"{server}/slow/", DIGEST]
    with subprocess.Popen(words) as child:
        _wait_for(lambda: any(file.stat().st_size for file in tmp_path.iterdir()))
        child.kill()
    assert not (tmp_path / NAME).exists() and list(tmp_path.iterdir()) != []
    assert find_release(
        "yolox-s", cache=tmp_path, release=pinned(server, "ok"), opener=plain_opener()
    ).downloaded
    assert (tmp_path / NAME).read_bytes() == CONTENT


def _wait_for(done: Callable[[], bool]) -> None:
    for _ in range(3000):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened in thirty seconds")


def test_a_folder_that_cannot_be_written(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="YG702"):
        find_release(
            "yolox-s", cache=tmp_path / "file" / "x", release=pinned(server, "ok"), opener=plain_opener()
        )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key, made for this session."""
    if (tool := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate of the test server")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", str(file) + ".crt"]
    made = subprocess.run([tool, *words], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this openssl does not know -addext")
    file.write_text(
        file.read_text(encoding="utf-8") + Path(str(file) + ".crt").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    return file


def test_https_is_checked_and_its_redirects_followed(certificate: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate) + ".crt")

    def fetch(kind: str, *handlers: HTTPSHandler) -> bytes:
        opener = https_opener(ProxyHandler({}), *handlers)
        cache = tmp_path / kind
        return find_release(
            "yolox-s", cache=cache, release=pinned(root, kind), opener=opener
        ).path.read_bytes()

    with serving(context) as root:
        assert fetch("ok", HTTPSHandler(context=trusting)) == CONTENT
        assert fetch("moved", HTTPSHandler(context=trusting)) == CONTENT
        with pytest.raises(YolograftError, match="without https"):
            fetch("moved-to-http", HTTPSHandler(context=trusting))
        # A certificate nobody vouches for.
        (tmp_path / "ok" / NAME).unlink()
        with pytest.raises(YolograftError, match=r"YG453.*(?i:certificate)"):
            fetch("ok")
