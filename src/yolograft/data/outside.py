"""A new folder outside a dataset, whole or not there at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from yolograft.data.records import Dataset
from yolograft.errors import DataError


def refuse_inside(out: Path, dataset: Dataset) -> Path:
    """The absolute place of a new folder.

    Raises:
        DataError: YG353 when it lies inside the dataset or among its images, is a file, or holds something.
    """
    place = out.expanduser().resolve()
    parents = {record.path.parent for records in dataset.splits.values() for record in records}
    inside = holding(place, dataset.root, parents)
    if inside is not None:
        cause, fix = f"lies inside the dataset folder {inside}", "name a folder elsewhere with --out"
        raise DataError("YG353", cause, where=str(out), fix=fix)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise DataError("YG353", "exists and is not an empty folder", where=str(out), fix="name a new folder")
    return place


def holding(place: Path, root: Path, parents: Iterable[Path]) -> Path | None:
    """The folder of a dataset that `place`, a resolved path, lies in, or None.

    The dataset is its root and the folders of its images, wherever links on the way to them lead.

    Args:
        parents: the folders of the images.
    """
    folders = {root, *parents}
    for parent in list(folders):
        # A link half way down, such as root/images, makes all that lies behind it part of the dataset.
        folders.update(above for above in parent.parents if above.is_relative_to(root))
    real = {Path(os.path.realpath(folder)) for folder in folders}
    return next((folder for folder in sorted(real) if place.is_relative_to(folder)), None)


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A draft beside `place`, moved there when the block ends well and removed when it does not."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        if place.is_dir():
            place.rmdir()
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
