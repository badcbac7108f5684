"""The command table, loaded lazily, and the one place where errors become one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError, UnknownCommandError, UnusedCliTokensError

from yolograft.errors import YolograftError

VERBS = {
    "compare": "Train grafts beside their baseline on the same batches and judge the difference.",
    "train": "Train one detector, grafted or not.",
    "eval": "Measure a trained detector on a split.",
    "predict": "Run a trained detector on images or folders.",
    "import": "Keep a .pt or .pth file of YOLOv5, YOLOv8 or YOLOX as a model folder.",
    "export-yaml": "Write a model, grafted or not, as a YOLOv5 or YOLOv8 model file.",
    "show": "Show a model, grafted or not: layers, parameters, FLOPs.",
    "modules": "List the modules that can be grafted, or explain one.",
    "check": "Find what is wrong in a YOLOv5 or YOLOv8 model file, and mend it.",
    "doctor": "Examine a module of your own, or this machine.",
    "new": "Write a module file of your own, with its test.",
    "plan": "Say which seeds, images and hours a difference takes, before a study is started.",
    "verdict": "Compute the verdicts of a study again, from its run folder or from records alone.",
    "merge": "Join the runs that several machines made for one study.",
    "judge": "Judge detectors that any tool trained, from predictions or run folders.",
    "explain": "Draw where every arm of a study looks: gains of its grafts, class-activation maps.",
    "report": "Write a study's report and tables again from its run folder.",
    "weights": "Find official weights, or say where they come from.",
    "licence": "Say where a trained model comes from: code, weights, data.",
}
DATA_VERBS = {
    "check": "Count a dataset and list what is odd in it.",
    "split": "Write train and val lists outside the dataset.",
    "convert": "Write a dataset in another format, outside it.",
}
SPLIT_HINT = "did your shell split the expression? Put it in double quotes"


def build_app() -> App:
    """The command line as a cyclopts app; a verb's code is imported when it is called."""
    app = App(
        name="yolograft",
        version=version("yolograft"),
        help="Did the module help, or was it luck? Graft any block onto a YOLO detector, keep every "
        "trained weight, and get an answer with error bars.",
        suppress_keyboard_interrupt=False,
    )
    for verb, text in VERBS.items():
        module = verb.replace("-", "_")
        app.command(f"yolograft.cli.{module}_verb:{module}_", name=verb, help=text)
    data = App(name="data", help="Look at a dataset, split it, convert it.")
    for verb, text in DATA_VERBS.items():
        data.command(f"yolograft.cli.data_{verb}_verb:{verb}_", name=verb, help=text)
    app.command(data)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 done, 2 the input, 3 the machine, 128 + signal."""
    tokens = [t for t in arguments if t != "--debug"]
    debug = len(tokens) != len(arguments)
    try:
        result = build_app()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        if debug:
            raise
        return _say(_usage_line(error, tokens), 2)
    except YolograftError as error:
        if debug:
            raise
        return _say(error.line(), error.exit_code)
    except BrokenPipeError:
        return 0
    except (OSError, MemoryError, RuntimeError) as error:
        line = _machine_line(error)
        if debug or not line:
            raise
        return _say(line, 3)
    except KeyboardInterrupt:
        return _say("stopped", 130)


def _usage_line(error: CycloptsError, tokens: Sequence[str]) -> str:
    fix = "see yolograft --help"
    stray = isinstance(error, UnusedCliTokensError) and "--graft" in tokens
    if stray or (isinstance(error, UnusedCliTokensError | UnknownCommandError) and "@" in str(error)):
        fix = SPLIT_HINT
    text = " ".join(str(error).split())
    return YolograftError("YG190", text, fix=fix).line()


def _machine_line(error: Exception) -> str:
    """The machine's own trouble in one line; empty for a defect of ours, which keeps its traceback."""
    if isinstance(error, OSError):
        where = str(error.filename) if error.filename else ""
        return YolograftError("YG702", error.strerror or str(error), where=where).line()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return YolograftError("YG703", "out of memory", fix="lower --batch or --imgsz, or --at-once 1").line()
    return ""


def _say(line: str, code: int) -> int:
    from yolograft.cli.terminal import printable

    sys.stderr.write(printable(line) + "\n")
    return code
