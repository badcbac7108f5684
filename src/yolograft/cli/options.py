"""Options several verbs share, and how their text is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from yolograft.errors import SpecError
from yolograft.graph.levels import STOCK, check_levels


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How a verb answers.

    Parameters
    ----------
    json
        Print one JSON document instead of tables.
    lang
        Language of reports.
    """

    json: bool = False
    lang: Literal["en", "zh"] = "en"


@Parameter(name="*")
@dataclass(frozen=True)
class Machine:
    """Where and how fast; nothing here changes the experiment.

    Parameters
    ----------
    device
        cpu or a GPU index; the first GPU when there is one.
    workers
        Processes that prepare batches; 0 prepares them inline and is fastest on few cores.
    cache
        Keep resized images in memory or on disk, or decode every time.
    at_once
        Most arms held in memory at once; worked out when left out.
    checkpoint_seconds
        Least time between two checkpoints, which are written at epoch ends.
    logger
        Where losses, rate and AP go while it trains, in the run folder; tensorboard comes with an extra.
    """

    device: str | None = None
    workers: Annotated[int, Parameter(validator=Number(gte=0))] = 0
    cache: Literal["ram", "disk", "none"] = "ram"
    at_once: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    checkpoint_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 30.0
    logger: Annotated[list[Literal["tensorboard"]], Parameter(negative="")] = field(default_factory=list)


Texts = Annotated[list[str], Parameter(negative="")]
# The words people know, as the recipe's precision.
AMP = {"auto": "auto", "bf16": "bf16", "fp16": "fp16", "off": "fp32"}


@Parameter(name="*")
@dataclass(frozen=True)
class Training:
    """What is trained on, for how long, and where it is kept.

    Parameters
    ----------
    data
        Dataset folder, its data.yaml or JSON, or "shapes" (built in), which is the default.
    epochs
        Training epochs.
    imgsz
        Image size: S or H,W, multiples of 32.
    batch
        Images per step; auto: the largest power of two that memory allows.
    recipe
        Shipped recipe (default, finetune, small-data, light, strong, common; yolov5, yolov8, yolox, each for
        its own family) or a YAML file; finetune where --weights is given and none is named. Later wins:
        recipe, options, --set.
    set
        Recipe value, key=value; repeat for more.
    amp
        Mixed precision: auto takes bf16 where the device computes in it, else fp16 on a GPU; off is fp32.
    box_loss
        IoU term of the box loss.
    levels
        Levels the head predicts on, of p3,p4,p5 and, for yolov8, p2; p3,p4,p5 when left out.
    anchors
        auto: anchors of YOLOv5 clustered for the training images; left out: those of --weights or of the
        model file, else the published ones.
    weights
        What to start from: a run or model folder, or a .pt or .pth file of YOLOv5, YOLOv8 or YOLOX.
    teacher
        What arms with a distill: term learn from: a run or model folder, or a file as for --weights.
    force
        Start although the weights do not all fit: what fits is kept, the rest is new, the manifest says so.
    resume
        Run folder to go on with.
    code
        File with a class of your own that the resumed run refers to.
    runs
        Where run folders are made; the folder runs when left out.
    name
        Start of the run folder's name.
    """

    data: str | None = None
    epochs: int | None = None
    imgsz: str | None = None
    batch: int | Literal["auto"] | None = None
    recipe: str | None = None
    set: Texts = field(default_factory=list)
    amp: Literal["auto", "bf16", "fp16", "off"] | None = None
    box_loss: Literal["ciou", "giou", "diou", "siou", "wiou"] | None = None
    levels: str | None = None
    anchors: Literal["auto"] | None = None
    weights: Path | None = None
    teacher: Path | None = None
    force: bool = False
    resume: Path | None = None
    code: Texts = field(default_factory=list)
    runs: Path | None = None
    name: str | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class Design:
    """How the difference is judged; written down before the first step and never changed.

    Parameters
    ----------
    seeds
        Runs per arm, 3 when left out; a verdict takes at least 3.
    first_seed
        The first of the consecutive seeds; 0 when left out, or the first fresh one with --follows.
    margin
        Smallest difference that matters, in AP points; 0.5 when left out.
    until_verdict
        Look after 3, 5 and 10 seeds; an arm stops where its verdict falls. Levels: 1, 2 and 2.8 %.
    paired
        Judge differences seed by seed; pays only where arm and baseline rise and fall together.
    group
        Images that belong together: folder, prefix:8, prefix:_ or a CSV file with image,group.
    bank
        Folder with earlier runs of the same baseline, whose noise is pooled. Repeat for more.
    control
        An arm to compare with: the baseline again (identity), convolutions of the graft's size (placebo),
        the next larger model (next-scale). Repeat for more.
    contrast
        Two arms judged against each other, as labels NEW,OTHER; named now, it counts. Repeat for more.
    design
        branch: per seed one baseline, trained to 60 % of the epochs; from there arms go on side by side.
    follows
        Earlier study of the same question: fresh seeds, and what it tried counts. Repeat for more.
    """

    seeds: int | None = None
    first_seed: int | None = None
    margin: float | None = None
    until_verdict: Annotated[bool, Parameter(negative="")] = False
    paired: Annotated[bool, Parameter(negative="")] = False
    group: str | None = None
    bank: Annotated[list[Path], Parameter(negative="")] = field(default_factory=list)
    control: Annotated[list[Literal["identity", "placebo", "next-scale"]], Parameter(negative="")] = field(
        default_factory=list
    )
    contrast: Texts = field(default_factory=list)
    design: Literal["branch"] | None = None
    follows: Annotated[list[Path], Parameter(negative="")] = field(default_factory=list)


@Parameter(name="*")
@dataclass(frozen=True)
class Trained:
    """Which trained model is used, and how.

    Parameters
    ----------
    arm
        Which arm of a study with several.
    seed
        Which seed of a study with several.
    which
        Weights at the end, or at the best point of the curve: that was chosen on the evaluation split.
    imgsz
        Image size; the training size when left out.
    device
        cpu or 0; the first GPU when there is one.
    code
        File with a class of your own that the run refers to.
    force
        Use a .pt or .pth file although its weights do not all fit.
    """

    arm: str | None = None
    seed: int | None = None
    which: Literal["last", "best"] = "last"
    imgsz: str | None = None
    device: str | None = None
    code: Texts = field(default_factory=list)
    force: bool = False


def read_levels(text: str | None) -> tuple[str, ...]:
    """``p2,p3,p4,p5`` as levels in order of stride; the stock ones when left out.

    Raises:
        SpecError: a level that does not exist, or one twice (YG132).
    """
    return check_levels([level.strip() for level in text.split(",")]) if text is not None else STOCK


def read_imgsz(text: str) -> tuple[int, int]:
    """``640`` or ``480,640`` (height, width).

    Raises:
        SpecError: anything else (YG191).
    """
    from yolograft.data.images import STRIDE

    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or any(side <= 0 or side % STRIDE for side in sides):
        raise SpecError("YG191", f"--imgsz {text}", fix=f"one side or HEIGHT,WIDTH, multiples of {STRIDE}")
    return sides[0], sides[-1]
