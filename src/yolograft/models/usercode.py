"""A user's own module: loaded by file or by installed package, built with its own signature.

Code runs only when a caller names it here, never because a model file or a checkpoint names it. What
ran is what was hashed: the loader executes exactly the bytes whose SHA-256 is kept (no byte-code cache).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from hashlib import sha256
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType

from torch import nn

from yolograft.errors import ModuleError

Option = bool | int | float | str | list[bool | int | float | str]

CHANNEL_NAMES = (
    *("in_channels", "channels", "channel", "in_planes", "inp", "c1", "dim"),
    *("in_channel", "in_ch", "input_channel", "in_dim", "d_model"),
)
# The second name receives the channel count too where the signature leaves no default for it.
OUTPUT_NAMES = {
    **{"c1": "c2", "inp": "oup", "in_channels": "out_channels", "in_planes": "out_planes"},
    **{"in_channel": "out_channel", "in_ch": "out_ch", "input_channel": "output_channel"},
}
EXAMPLES = {"int": "7", "float": "0.5", "bool": "on"}


@dataclass(frozen=True, slots=True)
class UserClass:
    """A module class that is not ours, with the text it came from.

    path: the file or dotted module as the user gave it. source: its text. sha256: hex digest of its bytes.
    """

    cls: type[nn.Module]
    class_name: str
    path: str
    source: str
    sha256: str

    @property
    def reference(self) -> str:
        """``path::Class``, the form graft expressions use."""
        return f"{self.path}::{self.class_name}"


class _HashedSource(SourceLoader):
    """Loads a module from bytes already read; without ``path_stats`` importlib keeps no byte-code cache."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path, self._data = path, data

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        return self._data


def nearest(name: str, choices: Iterable[str]) -> list[str]:
    """``choices``, the most similar to ``name`` first."""
    return sorted(choices, key=lambda choice: -SequenceMatcher(None, name.lower(), choice.lower()).ratio())


def _blame(error: BaseException, path: str) -> str:
    """``file:line`` of the last frame inside ``path``, else of the last frame; syntax errors know theirs."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == path] or frames[-1:]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else path


def _check_hash(digest: str, expected: str | None, path: str) -> None:
    if expected is not None and digest != expected.lower():
        cause = f"the code has changed: SHA-256 {digest[:12]}, the run was made with {expected[:12]}"
        raise ModuleError("YG224", cause, where=path, fix="name the file the run was made with")


def _execute(path: str, data: bytes) -> ModuleType:
    # The path belongs to the name: a copy elsewhere has its own ``__file__`` and its own error lines.
    name = f"_yolograft_user_{sha256(path.encode() + data).hexdigest()[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_HashedSource(path, data))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        cause = f"importing it fails: {type(error).__name__}: {error}"
        raise ModuleError("YG221", cause, where=_blame(error, path)) from error
    return module


def _pick(module: ModuleType, class_name: str, path: str) -> type[nn.Module]:
    found = vars(module).get(class_name)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found
    if found is not None:
        kind = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
        raise ModuleError("YG223", f"{class_name} is {kind}, not an nn.Module class", where=path)
    classes = {k: v for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, nn.Module)}
    own = [name for name, cls in classes.items() if cls.__module__ == module.__name__]
    names = nearest(class_name, own or classes)
    fix = f"nn.Module classes here: {', '.join(names[:8])}" if names else "it defines no nn.Module class"
    raise ModuleError("YG222", f"no class {class_name}", where=path, fix=fix)


def load_user_class(path: str | Path, class_name: str, *, expected_sha256: str | None = None) -> UserClass:
    """Run a Python file, or import an installed module, and take one ``nn.Module`` class from it.

    The same bytes run once per process. A string without ``.py`` and without a path separator that is no
    file here is a dotted module name: ``load_installed_class``.

    Args:
        path: the file, ``~`` allowed, or ``package.module``.
        class_name: the class in it.
        expected_sha256: refuse, for a file before running anything, code with another hash.

    Raises:
        ModuleError: YG220 (no such file), YG221 (its import fails; where = the user's own line), YG222 (no
            such class), YG223 (not an nn.Module class), YG224 (another hash), YG225 (no such module).
    """
    given, file = str(path), Path(path).expanduser()
    dotted = isinstance(path, str) and not path.endswith(".py") and not set("/\\") & set(path)
    if dotted and not file.is_file():
        return load_installed_class(given, class_name, expected_sha256=expected_sha256)
    try:
        data = file.read_bytes()
    except OSError as error:
        cause = f"cannot read it: {error.strerror or error}"
        raise ModuleError("YG220", cause, where=given, fix="give the path of a .py file") from error
    digest = sha256(data).hexdigest()
    _check_hash(digest, expected_sha256, given)
    cls = _pick(_execute(str(file.resolve()), data), class_name, given)
    return UserClass(cls, class_name, given, importlib.util.decode_source(data), digest)


def load_installed_class(module: str, class_name: str, *, expected_sha256: str | None = None) -> UserClass:
    """Take one ``nn.Module`` class from an installed package, ``package.module`` by its dotted name.

    Source and hash are those of the file that defines the class (a package may only re-export it).

    Raises:
        ModuleError: YG225 (no such module, or no Python source), YG221 to YG224 as for files.
    """
    if not all(part.isidentifier() for part in module.split(".")):
        raise ModuleError("YG225", f"'{module}' is no dotted module name", fix="package.module::Class")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(f"{missing}."):
            raise ModuleError(
                "YG225",
                f"no installed module '{missing}'",
                fix="install it, or name a file: my_att.py::MyAtt",
            ) from error
        raise ModuleError("YG221", f"importing it fails: {error}", where=_blame(error, module)) from error
    except (Exception, SystemExit) as error:
        cause = f"importing it fails: {type(error).__name__}: {error}"
        raise ModuleError("YG221", cause, where=_blame(error, module)) from error
    cls = _pick(imported, class_name, module)
    try:
        data = Path(inspect.getsourcefile(cls) or "").read_bytes()
    except (OSError, TypeError) as error:
        raise ModuleError("YG225", f"{class_name} has no Python source to keep", where=module) from error
    digest = sha256(data).hexdigest()
    _check_hash(digest, expected_sha256, module)
    return UserClass(cls, class_name, module, importlib.util.decode_source(data), digest)


def load_reference(reference: str, *, expected_sha256: str | None = None) -> UserClass:
    """``my_att.py::MyAtt`` or ``package.module::Class`` to its class.

    Raises:
        ModuleError: YG226 (not of that form), else as the two loaders.
    """
    place, separator, class_name = reference.rpartition("::")
    if not separator or not place or not class_name.isidentifier():
        raise ModuleError(
            "YG226", f"'{reference}' is no code reference", fix="file.py::Class or package.module::Class"
        )
    return load_user_class(place, class_name, expected_sha256=expected_sha256)


def _parameters(user: UserClass) -> dict[str, inspect.Parameter]:
    if user.cls.__init__ is nn.Module.__init__:
        return {}
    return dict(inspect.signature(user.cls).parameters)


def _check_options(
    user: UserClass, named: dict[str, inspect.Parameter], options: Mapping[str, Option]
) -> None:
    for name in options:
        if name not in named:
            accepted = nearest(name, named)
            fix = f"it accepts: {', '.join(accepted[:10])}" if accepted else "it accepts no options"
            raise ModuleError("YG227", f"{user.class_name} has no option '{name}'", where=user.path, fix=fix)


def _channel_arguments(
    user: UserClass, named: dict[str, inspect.Parameter], in_channels: int, options: Mapping[str, Option]
) -> dict[str, Option]:
    """The parameters that receive the channel count: none, the first, or the first two."""
    names = list(named)
    if not names or names[0] not in CHANNEL_NAMES:
        return {}
    first = names[0]
    if options.get(first, in_channels) != in_channels:
        cause = f"{first}={options[first]}, but the map there has {in_channels} channels"
        raise ModuleError("YG227", cause, where=user.reference, fix=f"leave {first} out")
    given: dict[str, Option] = {first: in_channels}
    second = OUTPUT_NAMES.get(first)
    if names[1:2] == [second] and named[names[1]].default is inspect.Parameter.empty:
        given[names[1]] = in_channels
    return given


def adapt(user: UserClass, in_channels: int, options: Mapping[str, Option]) -> tuple[nn.Module, str]:
    """Build a foreign module for a map of ``in_channels`` channels, and say in one line how it was called.

    A first parameter named as in ``CHANNEL_NAMES`` receives the channel count; of the pairs in
    ``OUTPUT_NAMES`` the second does too, unless it has a default or is given. All else is options.

    Raises:
        ModuleError: YG227 (no such option), YG228 (a parameter without default was not given), YG229 (the
            constructor raises; where = the user's own line).
    """
    parameters = _parameters(user)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {name: p for name, p in parameters.items() if p.kind not in variadic}
    rest = next((n for n, p in parameters.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    if rest is None:
        _check_options(user, named, options)
    channels = _channel_arguments(user, named, in_channels, options)
    values = {**channels, **options}
    for name, parameter in named.items():
        if parameter.default is inspect.Parameter.empty and name not in values:
            kind = getattr(parameter.annotation, "__name__", parameter.annotation)
            fix = f"give it: {user.reference}:{name}={EXAMPLES.get(str(kind), 'VALUE')}"
            cause = f"{user.class_name} needs '{name}', which has no default"
            raise ModuleError("YG228", cause, where=user.path, fix=fix)
    bound = inspect.Signature(list(parameters.values())).bind_partial()
    bound.arguments.update({name: values[name] for name in named if name in values})
    extra = {name: value for name, value in values.items() if name not in named}
    if rest is not None and extra:
        bound.arguments[rest] = extra
    try:
        module = user.cls(*bound.args, **bound.kwargs)
    except Exception as error:
        source = inspect.getsourcefile(user.cls) or user.path
        cause = f"{user.class_name}({_arguments(values)}) raises {type(error).__name__}: {error}"
        raise ModuleError("YG229", cause, where=_blame(error, source)) from error
    received = " and ".join(channels) if channels else "no parameter"
    return module, f"{user.reference} -> {user.class_name}({_arguments(values)}); channel count to {received}"


def _arguments(values: Mapping[str, Option]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
