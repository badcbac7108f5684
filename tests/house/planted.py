"""Houses that break one rule each, and houses that only look as if they did."""

from __future__ import annotations

IN_FUNCTION = "def f():\n    "
LONG = "def f():\n" + "    x = 1\n" * 59

# rule -> houses that break it, each a mapping from module name to its text.
BREACHES: dict[str, list[dict[str, str]]] = {
    "one_way": [
        {"yolograft.ops.boxes": "from yolograft.nn.conv import Conv"},
        {"yolograft.ops.boxes": "from ..nn.conv import Conv"},
        {"yolograft.ops.boxes": "from .. import nn"},
        {"yolograft.ops": "", "yolograft.ops.boxes": IN_FUNCTION + "import yolograft.cli"},
        {"yolograft.rng": "from yolograft.types import Targets"},
        {"yolograft.attention.se": "from yolograft.fusion.bifpn import BiFPN"},
        {"yolograft.errors": "import importlib\nx = importlib.import_module('yolograft.rng')"},
        {"yolograft.engine.train": "from yolograft import compare"},
        {"yolograft.engine.train": "from yolograft.drawer import thing"},
        {"yolograft.drawer.thing": ""},
        {
            "yolograft.data": "",
            "yolograft.data.coco": "if TYPE_CHECKING:\n    from yolograft.study.planning.plan import Plan",
        },
    ],
    "no_circles": [
        {
            "yolograft.cli.judge_verb": IN_FUNCTION + "from yolograft.cli.verdict_verb import verdict_",
            "yolograft.cli.verdict_verb": "from yolograft.cli.judge_verb import judged_lines",
        },
        {
            "yolograft.study.plan": "from yolograft.study.checks import check_plan",
            "yolograft.study.checks": "from yolograft.study.facts import data_facts",
            "yolograft.study.facts": "if TYPE_CHECKING:\n    from yolograft.study.plan import Plan",
        },
    ],
    "graph_is_pure": [
        {"yolograft.graph.spec": "import torch"},
        {"yolograft.graph.spec": IN_FUNCTION + "from torch.nn import Module"},
        {"yolograft.graph.spec": "if TYPE_CHECKING:\n    from torch import Tensor"},
        {
            "yolograft.graph.spec": "from yolograft.types import Targets",
            "yolograft.types": "from torch import Tensor",
        },
        {"yolograft.graph.spec": "from yolograft import rng", "yolograft.rng": "import timm.layers"},
        {"yolograft.graph.spec": "", "yolograft": "import torch"},
    ],
    "facade_is_light": [
        {"yolograft": "import torch"},
        {"yolograft": "from yolograft.types import Targets", "yolograft.types": "from torch import Tensor"},
        {
            "yolograft.cli": "from yolograft.cli.train import train",
            "yolograft.cli.train": "import lightning_fabric",
        },
    ],
    "families_apart": [
        {"yolograft.families.yolox": "from yolograft.families.yolov8 import Head"},
        {
            "yolograft.families.yolov8_loss": "from yolograft.families import yolov5",
            "yolograft.families.yolov5": "",
        },
        {"yolograft.families.criterion": "from yolograft.families.yolov8 import Head"},
    ],
    "catalog_names_modules": [
        {"yolograft.models.build": "from yolograft.attention.se import SE"},
        {"yolograft.engine.train": IN_FUNCTION + "import yolograft.fusion.bifpn"},
    ],
    "peers_outside": [
        {"yolograft.models.foreign": IN_FUNCTION + "import ultralytics.nn"},
        {"yolograft.models.foreign": IN_FUNCTION + "import_module('yolox')"},
    ],
    "imports_declared": [
        {"yolograft.study.report.page": "import matplotlib"},
        {"yolograft.study.report.page": IN_FUNCTION + "import pandas.plotting"},
        {"yolograft.interop.adapter": "import ultralytics"},
        {"yolograft.metrics.coco": IN_FUNCTION + "import pycocotools"},
    ],
    "file_sizes": [
        {"yolograft.ops.boxes": "x = 1\n" * 400},
        {"yolograft.attention.se": "x = 1\n" * 150},
    ],
    "function_sizes": [
        {"yolograft.ops.boxes": LONG},
        {"yolograft.ops.boxes": "class A:\n" + "".join(f"    {line}\n" for line in LONG.splitlines())},
    ],
    "plain_names": [
        {"yolograft.ops.utils": ""},
        {"yolograft.ops.helpers.boxes": ""},
        {"yolograft.data._common": ""},
        {"yolograft.engine.train": "class RunManager: ..."},
        {"yolograft.nn.conv": "def conv(c1, *, out): ..."},
        {"yolograft.nn.conv": IN_FUNCTION + "c2 = 3"},
    ],
    "calm_text": [
        {"yolograft.cli.train": "DONE = 'done \U0001f389'"},
        {"yolograft.cli.train": "# \u2705 done"},
    ],
    "quiet_import": [
        {"yolograft.engine.train": "configure()"},
        {"yolograft.engine.train": "import os\nos.environ['A'] = '1'"},
        {"yolograft.engine.train": "import torch\ntorch.backends.x.benchmark = True"},
        {"yolograft.engine.train": "SEED = torch.manual_seed(0)"},
        {"yolograft.engine.train": "TABLE = tuple(load(x) for x in (1, 2))"},
        {"yolograft.engine.train": "try:\n    import cv2\nexcept ImportError:\n    cv2 = None"},
        {"yolograft.engine.train": "for name in (1, 2):\n    pass"},
        {"yolograft.engine.train": "class A:\n    print('made')"},
        {"yolograft.engine.train": "POOL = ThreadPoolExecutor(2)"},
        {"yolograft.engine.train": "from pathlib import Path\nTEXT = Path('a').read_text(encoding='utf-8')"},
    ],
    "flat_classes": [
        {"yolograft.nn.conv": "class A: ...\nclass B(A): ..."},
        {
            "yolograft.nn.conv": "class A: ...",
            "yolograft.nn.csp": "from yolograft.nn.conv import A as Z\nclass B(Z): ...",
        },
        {"yolograft.nn.conv": "class A: ...", "yolograft.nn.csp": "from . import conv\nclass B(conv.A): ..."},
        {"yolograft.nn.conv": "class A(Generic[T]): ...\nclass B(A[int]): ..."},
    ],
    "no_text_is_run": [
        {"yolograft.graph.expr": "x = lambda text: eval(text)"},
        {"yolograft.graph.expr": "run = exec"},
        {"yolograft.graph.expr": IN_FUNCTION + "return globals()['f']"},
        {"yolograft.graph.expr": IN_FUNCTION + "return __import__('os')"},
    ],
    "no_dangerous_call": [
        {"yolograft.models.weights": "import torch as t\n" + IN_FUNCTION + "t.load('x', weights_only=True)"},
        {"yolograft.models.weights": "from torch import load as read\n" + IN_FUNCTION + "read('x')"},
        {"yolograft.models.weights": IN_FUNCTION + "compile('x', 'y', 'eval')"},
        {"yolograft.data.yolo": "import yaml\n" + IN_FUNCTION + "yaml.load(x)"},
        {"yolograft.data.yolo": "import numpy as np\n" + IN_FUNCTION + "np.load(x, allow_pickle=True)"},
        {"yolograft.data.yolo": IN_FUNCTION + "archive.extractall(x)"},
        {"yolograft.data.yolo": "from os import system\n" + IN_FUNCTION + "system('ls')"},
        {"yolograft.data.yolo": "import subprocess\n" + IN_FUNCTION + "subprocess.run('ls', shell=loud)"},
    ],
    "no_pickle": [
        {"yolograft.data.yolo": "import pickle"},
        {"yolograft.data.yolo": IN_FUNCTION + "from marshal import loads"},
        {"yolograft.data.yolo": "import dill as json"},
    ],
    "no_star_import": [{"yolograft.data.yolo": "from math import *"}],
    "encoding_is_named": [
        {"yolograft.data.yolo": IN_FUNCTION + "open('a')"},
        {"yolograft.data.yolo": IN_FUNCTION + "open('a', mode='w')"},
        {"yolograft.data.yolo": IN_FUNCTION + "path.open('w')"},
        {"yolograft.data.yolo": IN_FUNCTION + "path.read_text()"},
        {"yolograft.data.yolo": IN_FUNCTION + "path.write_text('x')"},
        {"yolograft.data.yolo": IN_FUNCTION + "path.read_text(encoding='latin-1')"},
        {"yolograft.data.yolo": "import os\n" + IN_FUNCTION + "os.fdopen(3, 'w')"},
        {"yolograft.data.yolo": IN_FUNCTION + "NamedTemporaryFile('w')"},
    ],
}

# What looks like a breach and is none, for every rule at once.
FINE: list[dict[str, str]] = [
    {"yolograft.engine.train": "from yolograft import __version__\nfrom yolograft.data import loader"},
    {"yolograft": "import importlib\n\ndef __getattr__(name):\n    from yolograft.engine import train"},
    {"yolograft.data.records": IN_FUNCTION + "from yolograft.errors import DataError"},
    {
        "yolograft.families.yolov8": "from yolograft.families.yolov8_loss import loss",
        "yolograft.families.yolov8_loss": "",
    },
    {"yolograft.models.catalog": "from yolograft.attention.se import SE"},
    {
        "yolograft.errors": "class A(Exception): ...\nclass B(A): ...",
        "yolograft.ops.nms": "from yolograft.errors import B\nclass C(B): ...",
    },
    {"yolograft.nn.conv": "from torch import nn\nclass Conv(nn.Module): ..."},
    {"yolograft.graph.expr": "import re\n" + IN_FUNCTION + "model.eval(), re.compile('x'), model.compile()"},
    {"yolograft.graph.spec": "class A:\n    'Text.'\n    x: int = field(default_factory=list)\n    y = 3"},
    {"yolograft.graph.sites": "from pathlib import Path\nHERE = Path(__file__).parent / 'zoo'"},
    {"yolograft.graph.sites": "import re\nROLE = re.compile('x')\nNAMES = frozenset('a b'.split())"},
    {"yolograft.graph.sites": "KEY = lambda row: load(row)\nif sys.platform == 'win32':\n    X = 1"},
    {"yolograft.data.yolo": IN_FUNCTION + "open('a', 'rb'), p.open('wb'), Image.open('a')"},
    {"yolograft.data.yolo": IN_FUNCTION + "open('a', encoding='utf-8-sig')"},
    {"yolograft.data.yolo": "from yolograft.data.text import read_text\n" + IN_FUNCTION + "read_text(path)"},
    {"yolograft.data.yolo": "import numpy as np\n" + IN_FUNCTION + "np.load('a', allow_pickle=False)"},
    {"yolograft.interop.adapter": IN_FUNCTION + "import ultralytics"},
    {"yolograft.ops.boxes": "def f():\n" + "    x = 1\n" * 58},
]
