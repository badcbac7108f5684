"""Model files as people write them, the stock graphs, and files that are broken at random."""

from __future__ import annotations

import random
import re
from pathlib import Path

import yolograft.models
from yolograft.graph.dialect.indexspec import Reading, read_spec
from yolograft.graph.dialect.read import parse_index_file
from yolograft.graph.dialect.stock import Stock, read_stock
from yolograft.graph.spec import ModelSpec
from yolograft.graph.zoofile import read_model_file
from yolograft.models.dialect_words import WORDS

ZOO = Path(yolograft.models.__path__[0]) / "zoo"
STOCKS: tuple[Stock, ...] = tuple(
    read_stock(ZOO / f"{name}.yaml") for name in ("yolov5", "yolov8", "yolov8-p2")
)

V5 = """\
# YOLOv5 with comments as the family's own files have them \U0001f680
nc: 80  # number of classes
depth_multiple: 0.33  # model depth multiple
width_multiple: 0.25  # layer channel multiple
anchors:
  - [10,13, 16,30, 33,23]  # P3/8
  - [30,61, 62,45, 59,119]  # P4/16
  - [116,90, 156,198, 373,326]  # P5/32
backbone:
  # [from, number, module, args]
  [[-1, 1, Conv, [64, 6, 2, 2]],  # 0-P1/2
   [-1, 1, Conv, [128, 3, 2]],  # 1-P2/4
   [-1, 3, C3, [128]],
   [-1, 1, Conv, [256, 3, 2]],  # 3-P3/8
   [-1, 6, C3, [256]],
   [-1, 1, Conv, [512, 3, 2]],  # 5-P4/16
   [-1, 9, C3, [512]],
   [-1, 1, Conv, [1024, 3, 2]],  # 7-P5/32
   [-1, 3, C3, [1024]],
   [-1, 1, SPPF, [1024, 5]],  # 9
  ]
head:
  [[-1, 1, Conv, [512, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 6], 1, Concat, [1]],  # cat backbone P4
   [-1, 3, C3, [512, False]],  # 13
   [-1, 1, Conv, [256, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 4], 1, Concat, [1]],  # cat backbone P3
   [-1, 3, C3, [256, False]],  # 17 (P3/8-small)
   [-1, 1, Conv, [256, 3, 2]],
   [[-1, 14], 1, Concat, [1]],  # cat head P4
   [-1, 3, C3, [512, False]],  # 20 (P4/16-medium)
   [-1, 1, Conv, [512, 3, 2]],
   [[-1, 10], 1, Concat, [1]],  # cat head P5
   [-1, 3, C3, [1024, False]],  # 23 (P5/32-large)
   [[17, 20, 23], 1, Detect, [nc, anchors]],  # Detect(P3, P4, P5)
  ]
"""
V8 = """\
nc: 80 # number of classes
scales: # [depth, width, max_channels]
  n: [0.33, 0.25, 1024]
  s: [0.33, 0.50, 1024]
  m: [0.67, 0.75, 768]
  l: [1.00, 1.00, 512]
  x: [1.00, 1.25, 512]
backbone:
  - [-1, 1, Conv, [64, 3, 2]] # 0-P1/2
  - [-1, 1, Conv, [128, 3, 2]] # 1-P2/4
  - [-1, 3, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]] # 3-P3/8
  - [-1, 6, C2f, [256, True]]
  - [-1, 1, Conv, [512, 3, 2]] # 5-P4/16
  - [-1, 6, C2f, [512, True]]
  - [-1, 1, Conv, [1024, 3, 2]] # 7-P5/32
  - [-1, 3, C2f, [1024, True]]
  - [-1, 1, SPPF, [1024, 5]] # 9
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 6], 1, Concat, [1]] # cat backbone P4
  - [-1, 3, C2f, [512]] # 12
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 4], 1, Concat, [1]] # cat backbone P3
  - [-1, 3, C2f, [256]] # 15 (P3/8-small)
  - [-1, 1, Conv, [256, 3, 2]]
  - [[-1, 12], 1, Concat, [1]] # cat head P4
  - [-1, 3, C2f, [512]] # 18 (P4/16-medium)
  - [-1, 1, Conv, [512, 3, 2]]
  - [[-1, 9], 1, Concat, [1]] # cat head P5
  - [-1, 3, C2f, [1024]] # 21 (P5/32-large)
  - [[15, 18, 21], 1, Detect, [nc]] # Detect(P3, P4, P5)
"""


def read(text: str, *, name: str = "text", scale: str = "", num_classes: int | None = None) -> Reading:
    """A text understood with the table of words."""
    file = parse_index_file(text, name=name)
    return read_spec(file, stocks=STOCKS, words=WORDS, scale=scale, num_classes=num_classes)


def stock_spec(file: str, scale: str, num_classes: int = 80) -> ModelSpec:
    """The stock detector, from the model file of ours."""
    return read_model_file(ZOO / f"{file}.yaml", scale, num_classes)


def with_rows(text: str, after: str, *rows: str) -> str:
    """The text with rows put behind the first line that holds ``after``."""
    lines = text.splitlines()
    place = next(index for index, line in enumerate(lines) if after in line)
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    return "\n".join([*lines[: place + 1], *(indent + row for row in rows), *lines[place + 1 :]]) + "\n"


# What stands where another thing stood: types changed, hostile values, words of the dialect in wrong places.
TOKENS = (
    *(
        "-1",
        "0",
        "7",
        "999",
        "-999",
        "1e9",
        ".5",
        "1.0e-3",
        "99999999999999999999",
        "True",
        "None",
        "nc",
        "[]",
    ),
    *(
        "{}",
        "[-1, 6]",
        "[[[[1]]]]",
        "anchors",
        "'text'",
        "Conv",
        "C2f",
        "C3",
        "Concat",
        "Detect",
        "SE",
        "CBAM",
    ),
    *(
        "CoordAtt",
        "nn.Upsample",
        "DoubleAttentionLayer",
        "EfficientAttention",
        "os.system",
        "~",
        "*a",
        "&a 1",
    ),
    *(
        "!!python/name:os.system",
        "{a: 1}",
        '"',
        "'",
        "[",
        "]",
        "{",
        "\t",
        "\x00",
        "\ufffd",
        "\u4e2d",
        ": ",
        "#",
    ),
)
_TOKEN = re.compile(r"[A-Za-z_.]+|-?\d+(?:\.\d+)?|\S")


def broken(text: str, draw: random.Random, *, most: int = 4) -> str:
    """The text with one to ``most`` changes such as a tired or a hostile hand makes."""
    for _ in range(draw.randint(1, most)):
        text = draw.choice(CHANGES)(text, draw)
    return text


def _characters(text: str, draw: random.Random) -> str:
    start = draw.randrange(len(text) + 1)
    piece = text[start : start + draw.randint(1, 6)]
    return text[:start] + draw.choice(["", piece * 2]) + text[start + len(piece) :]


def _token(text: str, draw: random.Random) -> str:
    found = list(_TOKEN.finditer(text))
    if not found:
        return text
    match = draw.choice(found)
    return text[: match.start()] + draw.choice(TOKENS) + text[match.end() :]


def _number(text: str, draw: random.Random) -> str:
    found = list(re.finditer(r"-?\d+", text))
    if not found:
        return text
    match = draw.choice(found)
    value = draw.choice([0, 1, -1, int(match[0]) + draw.randint(-3, 3), int(match[0]) * 2, 10**6])
    return text[: match.start()] + str(value) + text[match.end() :]


def _lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines()
    if len(lines) < 2:
        return text
    a, b = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.randrange(3)
    if how == 0:
        del lines[a]
    elif how == 1:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines.insert(a, lines[b])
    return "\n".join(lines) + "\n"


CHANGES = (_characters, _token, _token, _number, _number, _lines)
