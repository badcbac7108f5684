"""Names that weights have no reason to hold: a file with one of them is refused, whatever else is in it.

Nothing in a file runs here anyway. The list serves its owner, who may hand the file to something that does
run it. It holds what starts programs, runs text, loads code, opens files or talks to the network; it is not,
and need not be, complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from yolograft.errors import CheckpointError
from yolograft.models.foreign.claims import shown
from yolograft.models.foreign.opcodes import Name

# Whole modules, submodules included; by their names in Python 2 as well, which protocol 2 still writes.
MODULES = frozenset({
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "pty", "sys", "shutil", "socket", "_socket",
    "ssl", "runpy", "importlib", "_imp", "pkgutil", "zipimport", "codeop", "ctypes", "_ctypes", "cffi",
    "multiprocessing", "asyncio", "webbrowser", "http", "urllib", "ftplib", "smtplib", "telnetlib",
    "requests", "pdb", "bdb", "timeit", "cProfile", "pydoc", "pip", "ensurepip", "venv", "marshal",
    "dill", "cloudpickle", "shelve", "joblib", "atexit", "popen2", "commands", "_winapi", "winreg", "doctest",
    "idlelib", "lib2to3", "distutils", "_winreg", "httplib", "urllib2", "xmlrpc", "xmlrpclib",
})  # fmt: skip
BUILTINS = frozenset({"builtins", "__builtin__", "__builtins__"})
BUILTIN_NAMES = frozenset({
    "eval", "exec", "execfile", "compile", "open", "file", "__import__", "input", "breakpoint", "apply",
    "globals", "reload",
})  # fmt: skip
# Single names, where a user's own package may have the name of the module.
NAMES = frozenset({
    "code.interact", "code.InteractiveInterpreter", "code.InteractiveConsole", "imp.load_source",
    "imp.load_module", "profile.run", "profile.runctx", "trace.Trace", "signal.signal",
    "io.open", "_io.open", "io.open_code", "_io.open_code", "io.FileIO", "_io.FileIO", "types.FunctionType",
    "types.CodeType", "torch.load", "torch.serialization.load", "torch.jit.load", "torch.hub.load",
    "numpy.load", "numpy.testing._private.utils.runstring", "numpy.testing.runstring", "pandas.read_pickle",
})  # fmt: skip
UNPICKLERS = frozenset({"pickle", "_pickle", "cPickle"})


def runs_something(name: Name) -> bool:
    """Whether calling this would run, load, open or send something."""
    top = name.module.partition(".")[0]
    if top in BUILTINS:
        return name.qualname.partition(".")[0] in BUILTIN_NAMES
    return top in MODULES or top in UNPICKLERS or name.text in NAMES


def refuse_hostile(named: Iterable[Name]) -> None:
    """Refuse a file by the names in its pickle: one that is only passed on may be called by what receives it.

    Raises:
        CheckpointError: it names something that weights have no reason to hold (YG439).
    """
    found = sorted(name.text for name in named if runs_something(name))
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise CheckpointError(
            "YG439",
            f"more than weights: its pickle reaches for {shown(found[0])}{more}; nothing was run here",
            fix="do not load it anywhere; get the weights from their author",
        )
