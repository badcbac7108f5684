"""Official weights: where they lie, what they are called, and how they get here unharmed.

Only YOLOX has a release whose licence lets a program fetch it for its user: Apache-2.0, GitHub release
0.1.1rc0 of Megvii-BaseDetection/YOLOX (arXiv 2107.08430). Without a pinned SHA-256 nothing is downloaded:
an address alone does not say what will come from it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import (
    BaseHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from yolograft.errors import CheckpointError, MachineError, SpecError

FOLDER_VARIABLE = "YOLOGRAFT_WEIGHTS"
LICENCE = "Apache-2.0"
FILES: Mapping[str, str] = MappingProxyType(
    {
        "yolox-nano": "yolox_nano.pth",
        "yolox-tiny": "yolox_tiny.pth",
        "yolox-s": "yolox_s.pth",
        "yolox-m": "yolox_m.pth",
        "yolox-l": "yolox_l.pth",
        "yolox-x": "yolox_x.pth",
    }
)
# File name -> SHA-256 in hex. A person adds a row after looking at the file; no program does.
PINS: Mapping[str, str] = MappingProxyType({})

# The largest file of the release holds 99 M parameters and their momentum in fp32: under 0.8 GiB.
MOST_BYTES = 1 << 30
TIMEOUT_SECONDS = 30.0
_CHUNK = 1 << 20
_COPYLEFT = re.compile(r"yolov[58][nsmlx]")

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Release:
    """Where the files lie and what they must be.

    base: address of the folder with the files. pins: file name -> SHA-256. most_bytes: size cap of one file.
    """

    base: str
    pins: Mapping[str, str]
    most_bytes: int = MOST_BYTES


OFFICIAL = Release("https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/", PINS)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of weights on this machine.

    pinned: its SHA-256 is the one the table demands; False where the table has no row for it.
    downloaded: it was fetched just now.
    """

    model: str
    path: Path
    sha256: str
    url: str
    pinned: bool
    downloaded: bool


def release_file(model: str, *, cache: Path) -> Path:
    """The path of a model's official weights; see `find_release`."""
    return find_release(model, cache=cache).path


def find_release(
    model: str,
    *,
    cache: Path,
    release: Release = OFFICIAL,
    opener: OpenerDirector | None = None,
    progress: Progress | None = None,
) -> ReleaseFile:
    """Find a model's official weights: in ``$YOLOGRAFT_WEIGHTS``, in `cache`, else in the release.

    Args:
        model: ``yolox-nano`` .. ``yolox-x``.
        cache: folder for what is downloaded.
        opener: how addresses are opened; https alone when left out.
        progress: called with bytes received so far and bytes announced (None where unknown).

    Raises:
        SpecError: no such model (YG106).
        CheckpointError: the family's weights are AGPL-3.0 (YG451), nothing is pinned (YG450), or a file of
            that name is not the pinned one (YG452).
        MachineError: the download failed (YG453) or brought something else (YG454).
    """
    name = _file_name(model)
    url, pin = release.base + name, release.pins.get(name, "")
    folders = _folders(cache)
    for folder in folders:
        if (folder / name).is_file():
            return ReleaseFile(model, folder / name, _checked(folder / name, pin), url, bool(pin), False)
    if not pin:
        fix = f"put it in {_shown(folders[0])} by hand; run this again and compare the sha256 it prints"
        raise CheckpointError("YG450", "no pinned sha256, so nothing is downloaded", where=url, fix=fix)
    _download(url, cache / name, pin=pin, release=release, opener=opener or https_opener(), progress=progress)
    return ReleaseFile(model, cache / name, pin, url, True, True)


def https_opener(*extra: BaseHandler) -> OpenerDirector:
    """An opener that knows https and the user's proxy, follows redirects to https only, and knows no http.

    Args:
        extra: handlers to add, or to put before the ones of the same kind.
    """
    opener = OpenerDirector()
    for handler in (*extra, *_handlers(without=extra)):
        opener.add_handler(handler)
    return opener


def _handlers(*, without: tuple[BaseHandler, ...]) -> Iterator[BaseHandler]:
    kinds = (ProxyHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor, UnknownHandler)
    for kind in (*kinds, HttpsRedirects):
        if not any(isinstance(handler, kind) for handler in without):
            yield kind()


class HttpsRedirects(HTTPRedirectHandler):
    """Follows a redirect only where it leads to https."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request for the new address.

        Raises:
            HTTPError: it is not https.
        """
        if not newurl.lower().startswith("https://"):
            raise HTTPError(req.full_url, code, "it redirects to an address without https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _file_name(model: str) -> str:
    if model in FILES:
        return FILES[model]
    if _COPYLEFT.fullmatch(model):
        fix = "give a file of your own: --weights FILE.pt"
        cause = f"published weights of {model} are AGPL-3.0; yolograft downloads none of them"
        raise CheckpointError("YG451", cause, fix=fix)
    near = difflib.get_close_matches(model, FILES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SpecError("YG106", f"no official weights of '{model}'", fix=f"{hint}there are: {', '.join(FILES)}")


def _folders(cache: Path) -> list[Path]:
    chosen = os.environ.get(FOLDER_VARIABLE)
    return [Path(chosen).expanduser(), cache] if chosen else [cache]


def _shown(folder: Path) -> str:
    """The folder in few characters: the line has room for the address too."""
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)


def _checked(file: Path, pin: str) -> str:
    """The SHA-256 of a file found here.

    Raises:
        CheckpointError: it is not the pinned one (YG452).
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if pin and found != pin:
        cause = f"not the released file: its sha256 is {found[:12]}..., the release has {pin[:12]}..."
        fix = "remove it, or give it as what it is: --weights FILE"
        raise CheckpointError("YG452", cause, where=str(file), fix=fix)
    return found


def _download(
    url: str,
    target: Path,
    *,
    pin: str,
    release: Release,
    opener: OpenerDirector,
    progress: Progress | None,
) -> None:
    """Fetch `url` beside its place, check it, and give it its name only then.

    Raises:
        MachineError: see `_received`; what came is not the pinned file (YG454); no room for it (YG702).
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for chunk in _received(url, opener, release.most_bytes, progress, folder=target.parent):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != pin:
            cause = f"its sha256 is {digest.hexdigest()[:12]}..., pinned is {pin[:12]}...; it is removed"
            raise MachineError("YG454", cause, where=url, fix="try another network")
        part.replace(target)
    except OSError as error:
        raise MachineError("YG702", f"cannot write: {error.strerror}", where=str(target)) from error
    finally:
        # Where its folder could not be made there is nothing to remove.
        with suppress(OSError):
            part.unlink()


def _received(
    url: str, opener: OpenerDirector, most: int, progress: Progress | None, *, folder: Path
) -> Iterator[bytes]:
    """The bytes behind an address, never more than `most`.

    Raises:
        MachineError: there is no way there, or it ends early (YG453), or it is too large (YG454).
    """
    fix, done, size = f"try later, or put the file in {_shown(folder)} by hand", 0, None
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            announced = answer.headers.get("Content-Length", "")
            size = int(announced) if announced.isdecimal() else None
            _check_size(size or 0, most, url)
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                _check_size(done, most, url)
                yield chunk
                if progress is not None:
                    progress(done, size)
    except HTTPError as error:
        with error:
            raise MachineError("YG453", f"{error.code} {error.reason}", where=url, fix=fix) from error
    except (OSError, HTTPException) as error:
        why = str(getattr(error, "reason", "") or error or type(error).__name__)
        raise MachineError("YG453", f"cannot download: {why}", where=url, fix=fix) from error
    if size is not None and done != size:
        raise MachineError("YG453", f"it ended after {done} of {size} bytes", where=url, fix=fix)


def _check_size(size: int, most: int, url: str) -> None:
    if size > most:
        cause = f"larger than {most / 2**20:.0f} MiB, which no file of the release is; it is not kept"
        raise MachineError("YG454", cause, where=url, fix="try another network")
