"""Opening a dataset: the built-in `shapes`, a folder of any known format, or its data.yaml or JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from yolograft.data.coco import coco_files, coco_root, read_coco
from yolograft.data.findings import finding
from yolograft.data.labelme import labelme_splits, read_labelme
from yolograft.data.listed import read_listed, split_file
from yolograft.data.paths import is_file, is_folder
from yolograft.data.records import Dataset
from yolograft.data.shapes import shapes
from yolograft.data.visdrone import read_visdrone, visdrone_splits
from yolograft.data.voc import is_voc, read_voc
from yolograft.data.yolo import names_file, read_yolo_folder, read_yolo_yaml, yolo_yaml
from yolograft.errors import DataError

LOOKED_FOR = (
    "data.yaml; Annotations/*.xml (VOC); COCO .json; images/ + labels/ + *.names; "
    "images/ + annotations/*.txt (VisDrone); labelme .json"
)


def open_dataset(path: str | Path) -> Dataset:
    """Read a dataset; its folder is never written to.

    A folder's format is found by looking, in this order: a YAML with class names and splits, VOC, COCO
    JSON, images/ + labels/ with a names file, VisDrone, labelme. When several fit, the first counts and a
    finding says so.

    Args:
        path: ``"shapes"``, a folder, a data.yaml, one COCO JSON file (one split), or a split of one's own.

    Raises:
        DataError: YG301 when nothing is there or no known layout is found; YG305 when no split has an image
            that can be used; YG309 when most boxes are on the wrong scale; the readers' own codes.
    """
    if str(path) == "shapes":
        return shapes()
    root = Path(path).expanduser().resolve()
    if (own := split_file(root)) is not None:
        return read_listed(own, opener=open_dataset)
    if is_file(root):
        return _on_scale(_with_images(_open_file(root)))
    if not is_folder(root):
        fix = "give a folder, a data.yaml, a COCO .json, or `shapes`"
        raise DataError("YG301", "no such dataset folder", where=str(path), fix=fix)
    return _on_scale(_with_images(_open_folder(root)))


def _open_folder(root: Path) -> Dataset:
    yaml_path, voc, files, listed = yolo_yaml(root), is_voc(root), coco_files(root), names_file(root)
    if yaml_path is not None:
        dataset = read_yolo_yaml(yaml_path)
    elif voc:
        dataset = read_voc(root)
    elif files:
        dataset = read_coco(root, files)
    elif listed is not None:
        dataset = read_yolo_folder(root, listed)
    elif folders := visdrone_splits(root):
        dataset = read_visdrone(root, folders)
    elif labelled := labelme_splits(root):
        dataset = read_labelme(root, labelled)
    else:
        raise DataError("YG301", "no known dataset layout", where=str(root), fix=f"looked for {LOOKED_FOR}")
    fits = {"yolo": yaml_path is not None or listed is not None, "voc": voc, "coco": bool(files)}
    others = [name for name, present in fits.items() if present and name != dataset.format]
    if others:
        message = f"read as {dataset.format}; {', '.join(others)} is there too"
        note = finding("YG323", ".", 0, message)
        dataset = dataclasses.replace(dataset, findings=(note, *dataset.findings))
    return dataset


def _with_images(dataset: Dataset) -> Dataset:
    """Refuse a dataset without a single image to use, and say what became of the first one met."""
    if any(dataset.splits.values()):
        return dataset
    lost = [item for item in dataset.findings if item.action == "dropped"]
    cause = f"no image that can be used in {', '.join(dataset.splits) or 'any split'}"
    if lost:
        cause += f"; {len(lost)} dropped, first {lost[0].file}: {lost[0].message} ({lost[0].code})"
    raise DataError("YG305", cause, where=str(dataset.root), fix="put sound images where the dataset looks")


def _on_scale(dataset: Dataset) -> Dataset:
    """Refuse a dataset most of whose rows are on the wrong scale: what is left of it would be noise."""
    # An image that several splits list counts once, as its findings do; messages name the image and box.
    found = {(f.file, f.line) if f.line else f.message: f for f in dataset.findings if f.code == "YG338"}
    wrong = list(found.values())
    per_image: dict[str, int] = {}
    for record in (record for records in dataset.splits.values() for record in records):
        per_image[record.image_id] = max(record.rows, per_image.get(record.image_id, 0))
    rows = sum(per_image.values())
    if wrong and 2 * len(wrong) >= rows:
        first = wrong[0]
        where = f"{dataset.root / first.file}:{first.line}" if first.line else str(dataset.root / first.file)
        unit = "fractions of the image" if dataset.format == "yolo" else "pixels"
        cause = f"{len(wrong)} of {rows} boxes are not in {unit}"
        raise DataError("YG309", cause, where=where, fix=f"write them in {unit}, as the format asks")
    return dataset


def _open_file(path: Path) -> Dataset:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return read_yolo_yaml(path)
        case ".json":
            return read_coco(coco_root(path), [path])
        case _:
            raise DataError(
                "YG301", "not a dataset file", where=str(path), fix="give a .yaml or a COCO .json"
            )
