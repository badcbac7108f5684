"""Naming and finding images and label files by their place in the dataset folder."""

from __future__ import annotations

import os
from pathlib import Path

# Everything that is an image by its suffix is either used or reported, formats no decoder here knows too.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff"}
    | {".gif", ".jp2", ".avif", ".heic", ".heif"}
)


def image_id_of(path: Path, root: Path) -> str:
    """The path relative to the dataset root with posix separators; `../` where it lies outside.

    On another drive of Windows there is no way from one to the other: the whole path is the id.
    """
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:
        return path.as_posix()


def is_folder(path: Path) -> bool:
    """Whether a folder stands there; False for names that no file system takes."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file stands there; False for links that lead nowhere and names that no file system takes."""
    try:
        return path.is_file()
    except OSError:
        return False


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """All files of a folder and the folders below it with one of the suffixes in any case, sorted.

    Links to folders are followed, each folder once, so that a link to a folder above ends.
    """
    seen: set[str] = set()
    found: list[Path] = []
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += [Path(here, name) for name in files if Path(name).suffix.lower() in suffixes]
    return sorted(path for path in found if is_file(path))


def images_in(folder: Path) -> list[Path]:
    """All image files of a folder and the folders below it, by their suffix, sorted."""
    return files_in(folder, IMAGE_SUFFIXES)


class Folders:
    """Looks files up by name, with upper and lower case as they are, then without regard to them.

    A dataset made on Windows lists `A.JPG` for `a.jpg` and works there; it should read the same everywhere.
    Each folder is listed once, which is also what makes looking up many files quick.
    """

    def __init__(self) -> None:
        self._listed: dict[Path, tuple[frozenset[str], dict[str, str]]] = {}

    def find(self, path: Path) -> Path | None:
        """The file at `path`, or the one file there whose name differs in case only, or None."""
        names, folded = self._names(path.parent)
        if path.name in names:
            return path
        other = folded.get(path.name.casefold())
        if other is not None:
            return path.with_name(other)
        # A folder on the way may differ in case too.
        parent = self._folder(path.parent) if not names else None
        return self.find(parent / path.name) if parent is not None else None

    def names(self, folder: Path) -> list[str]:
        """The files of a folder, sorted; none when it does not exist."""
        return sorted(self._names(folder)[0])

    def _folder(self, path: Path) -> Path | None:
        """The folder at `path` in another case; None when it stands there as written, or nowhere."""
        here, below = path, list[str]()
        while not is_folder(here):
            if here == here.parent:
                return None
            below.append(here.name)
            here = here.parent
        for name in reversed(below):
            try:
                with os.scandir(here) as entries:
                    same = [e.name for e in entries if e.name.casefold() == name.casefold() and e.is_dir()]
            except OSError:
                return None
            if len(same) != 1:
                return None
            here = here / same[0]
        return here if below else None

    def _names(self, folder: Path) -> tuple[frozenset[str], dict[str, str]]:
        known = self._listed.get(folder)
        if known is None:
            try:
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if entry.is_file())
            except (OSError, ValueError):
                # Not there, or a name that cannot be: too long, or with a NUL in it.
                names = []
            folded: dict[str, str] = {}
            for name in names:
                key = name.casefold()
                # Two files that differ in case only: neither can stand for a third spelling.
                folded[key] = "" if key in folded else name
            exact = frozenset(names)
            known = self._listed[folder] = exact, {key: name for key, name in folded.items() if name}
        return known
