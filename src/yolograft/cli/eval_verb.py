"""``yolograft eval RUN``."""

from __future__ import annotations

from pathlib import Path

from yolograft.cli.options import Code, Output, read_imgsz
from yolograft.cli.terminal import plain_table, print_json, say


def eval_(
    run: Path,
    /,
    *,
    data: str | None = None,
    split: str | None = None,
    arm: str | None = None,
    seed: int | None = None,
    imgsz: str | None = None,
    batch: int = 16,
    device: str | None = None,
    code: Code | None = None,
    output: Output | None = None,
) -> None:
    """Measure a trained detector on a split.

    Parameters
    ----------
    run
        Run folder, or the model folder inside one.
    data
        Dataset; the one it was trained on when left out.
    split
        Split to measure on; the run's own evaluation split when left out.
    arm
        Which arm of a study with several.
    seed
        Which seed of a study with several.
    imgsz
        Image size; the training size when left out.
    batch
        Images at a time.
    device
        cpu or 0; the first GPU when there is one.
    """
    import torch

    from yolograft.data.eval_stream import EvalStream
    from yolograft.data.source import open_dataset
    from yolograft.engine.device import default_device
    from yolograft.engine.evaluate import evaluate
    from yolograft.engine.modelfolder import read_model
    from yolograft.study.pick import data_of, model_folder
    from yolograft.study.plan import eval_split
    from yolograft.study.scores import score_table

    folder = model_folder(run, arm=arm, seed=seed)
    stored = read_model(folder)
    dataset = open_dataset(data or data_of(folder))
    chosen = split or eval_split(dataset)
    where = device or default_device()
    detector = stored.detector(code=code or ()).to("cpu" if where == "cpu" else f"cuda:{where}")
    detector = detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = read_imgsz(imgsz) if imgsz else tuple(stored.about["imgsz"])
    stream = EvalStream(dataset.split(chosen), imgsz=(size[0], size[1]), batch=batch, stride=detector.stride)
    table = evaluate(detector, stream, fingerprint=dataset.fingerprint(chosen))
    scores = score_table(stream.records, table, dataset.names)
    if output and output.json:
        print_json({"model": str(folder), "split": chosen, "images": len(stream.records), **scores})
        return
    say(f"{folder} on '{chosen}' ({len(stream.records)} images), points")
    heads = ("P", "R", "F1", "AP50", "AP", "AP_S", "AP_M", "AP_L")
    keys = ("p", "r", "f1", "ap50", "ap", "ap_s", "ap_m", "ap_l")
    plain_table(heads, [tuple(scores[key] for key in keys)])
    plain_table(
        ("class", "boxes", "AP50", "AP"),
        [(c["name"], c["gt"], c["ap50"], c["ap"]) for c in scores["per_class"]],
    )
