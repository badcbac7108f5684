"""``yolograft predict RUN SOURCE...``."""

from __future__ import annotations

from pathlib import Path

from yolograft.cli.options import Code, Output, read_imgsz
from yolograft.cli.terminal import print_json, say


def predict_(
    run: Path,
    /,
    *sources: Path,
    confidence: float = 0.25,
    arm: str | None = None,
    seed: int | None = None,
    imgsz: str | None = None,
    device: str | None = None,
    code: Code | None = None,
    runs: Path = Path("runs"),
    output: Output | None = None,
) -> None:
    """Run a trained detector on images or folders; writes pictures with boxes and one JSON file.

    Parameters
    ----------
    run
        Run folder, or the model folder inside one.
    sources
        Image files or folders of images.
    confidence
        Least score that is shown; evaluation uses the same detections from .001 on.
    arm
        Which arm of a study with several.
    seed
        Which seed of a study with several.
    imgsz
        Image size; the training size when left out.
    device
        cpu or 0; the first GPU when there is one.
    runs
        Where the output folder is made.
    """
    from yolograft.engine.device import default_device
    from yolograft.engine.modelfolder import read_model
    from yolograft.engine.predict import find_images, predict_files
    from yolograft.engine.runfolder import new_run_folder
    from yolograft.study.pick import model_folder

    images = find_images(sources)
    stored = read_model(model_folder(run, arm=arm, seed=seed))
    where = device or default_device()
    detector = stored.detector(code=code or ()).to("cpu" if where == "cpu" else f"cuda:{where}")
    size = read_imgsz(imgsz) if imgsz else tuple(stored.about["imgsz"])
    folder = new_run_folder(runs, "predict")
    found = predict_files(
        detector,
        images,
        names=stored.about["names"],
        imgsz=(size[0], size[1]),
        confidence=confidence,
        folder=folder,
    )
    if output and output.json:
        print_json({"folder": str(folder), "images": found})
        return
    for item in found:
        counts: dict[str, int] = {}
        for box in item["detections"]:
            counts[box["name"]] = counts.get(box["name"], 0) + 1
        say(f"{item['image']}: {', '.join(f'{n} {k}' for k, n in counts.items()) or 'nothing'}")
    say(f"pictures and detections.json in {folder}")
