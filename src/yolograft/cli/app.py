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
    "show": "Show a model, grafted or not: layers, parameters, FLOPs.",
    "modules": "List the modules that can be grafted, or explain one.",
}
SPLIT_HINT = "did your shell split the expression? Put it in double quotes"


def build_app() -> App:
    """The command line as a cyclopts app; a verb's code is imported when it is called."""
    app = App(
        name="yolograft",
        version=version("yolograft"),
        help="Did the module help, or was it luck? Graft any block onto a YOLO detector, keep every "
        "trained weight, and get an answer with error bars.",
    )
    for verb, text in VERBS.items():
        app.command(f"yolograft.cli.{verb}_verb:{verb}_", name=verb, help=text)
    data = App(name="data", help="Look at a dataset.")
    data.command(
        "yolograft.cli.data_verb:check_", name="check", help="Count a dataset and list what is odd in it."
    )
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
        return _say(_usage_line(error), 2)
    except YolograftError as error:
        if debug:
            raise
        return _say(error.line(), error.exit_code)
    except KeyboardInterrupt:
        return _say("stopped", 130)
    except BrokenPipeError:
        return 0


def _usage_line(error: CycloptsError) -> str:
    fix = "see yolograft --help"
    if isinstance(error, UnusedCliTokensError | UnknownCommandError) and "@" in str(error):
        fix = SPLIT_HINT
    text = " ".join(str(error).split())
    return YolograftError("YG190", text, fix=fix).line()


def _say(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
