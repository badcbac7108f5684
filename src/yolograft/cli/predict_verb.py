"""``yolograft predict RUN SOURCE...``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from yolograft.cli.options import Output, Trained, read_imgsz
from yolograft.cli.terminal import print_json, say


def predict_(
    run: Path,
    /,
    *sources: Path,
    confidence: float = 0.25,
    runs: Path = Path("runs"),
    trained: Trained | None = None,
    output: Output | None = None,
) -> None:
    """Run a trained detector on images or folders; writes pictures with boxes and one JSON file.

    Parameters
    ----------
    run
        Run folder, the model folder inside one, or a .pt or .pth file of YOLOv5, YOLOv8 or YOLOX.
    sources
        Image files or folders of images.
    confidence
        Least score that is shown; evaluation uses the same detections from .001 on.
    runs
        Where the output folder is made.
    """
    from yolograft.engine.foreignfolder import lines_of_file
    from yolograft.engine.lettering import Lettering
    from yolograft.engine.load import load_detector
    from yolograft.engine.modelfolder import best_warning
    from yolograft.engine.predict import find_images, predict_files
    from yolograft.engine.runfolder import new_run_folder
    from yolograft.study.pick import model_folder

    trained = trained or Trained()
    images = find_images(sources)
    model = model_folder(run, arm=trained.arm, seed=trained.seed, which=trained.which)
    detector, stored = load_detector(model, device=trained.device, code=trained.code, force=trained.force)
    size = read_imgsz(trained.imgsz) if trained.imgsz else stored.imgsz
    folder = new_run_folder(runs, "predict")
    found = predict_files(
        detector, images, names=stored.names, imgsz=size, confidence=confidence, folder=folder
    )
    warning, notes = best_warning(stored.about), lines_of_file(model, stored)
    if output and output.json:
        about = ({"warning": warning} if warning else {}) | ({"notes": notes} if notes else {})
        print_json({"folder": str(folder), **about, "images": found})
        return
    for line in filter(None, (*notes, warning, Lettering(stored.names).warning)):
        say(line)
    for item in found:
        if "error" in item:
            say(item["error"])
            continue
        counts = Counter(box["name"] for box in item["detections"])
        say(f"{item['image']}: {', '.join(f'{n} {k}' for k, n in counts.items()) or 'nothing'}")
    say(f"pictures and detections.json in {folder}")
