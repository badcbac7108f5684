"""Options several verbs share, and how their text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from yolograft.errors import SpecError


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
        cpu, 0 or 0,1; the first GPU when there is one.
    workers
        Processes that prepare batches; 0 prepares them inline and is fastest on few cores.
    cache
        Keep resized images in memory, or decode every time.
    group
        Most arms held in memory at once; worked out when left out.
    """

    device: str | None = None
    workers: int = 0
    cache: Literal["ram", "none"] = "ram"
    group: int | None = None


Code = Annotated[
    list[str],
    Parameter(name="--code", negative="", help="File with a class of your own that a stored run refers to."),
]


def read_imgsz(text: str) -> tuple[int, int]:
    """``640`` or ``480,640`` (height, width).

    Raises:
        SpecError: anything else (YG191).
    """
    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or any(side <= 0 or side % 32 for side in sides):
        raise SpecError("YG191", f"--imgsz {text}", fix="one side or HEIGHT,WIDTH, multiples of 32")
    return sides[0], sides[-1]
