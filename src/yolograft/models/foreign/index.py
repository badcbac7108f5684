"""The index of a torch archive: where each storage lies and how each tensor views it; no tensor is made."""

from __future__ import annotations

from dataclasses import asdict
from io import BufferedReader
from typing import Any

from yolograft.errors import CheckpointError
from yolograft.models.foreign.claims import check_claim, shown
from yolograft.models.foreign.hostile import refuse_hostile
from yolograft.models.foreign.limits import Limits
from yolograft.models.foreign.moduletree import content_of
from yolograft.models.foreign.opcodes import interpret
from yolograft.models.foreign.torchzip import PICKLE, members


def index_of(handle: BufferedReader, size: int, limits: Limits) -> dict[str, Any]:
    """What a torch archive holds, as JSON has it: the fields of `yolograft.models.foreign.quarantine.Index`.

    Args:
        handle: the file. size: its bytes.

    Raises:
        CheckpointError: a file that is not read, with its reason (YG431 .. YG439).
    """
    try:
        return _index_of(handle, size, limits)
    except (MemoryError, RecursionError) as error:
        raise CheckpointError("YG431", f"it outgrows the reader ({type(error).__name__})") from error
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, OSError) as error:
        # A stranger's file can be wrong in more ways than anybody lists.
        raise CheckpointError("YG433", f"it makes no sense ({type(error).__name__})") from error


def _index_of(handle: BufferedReader, size: int, limits: Limits) -> dict[str, Any]:
    found = members(handle, size, limits)
    root, named = interpret(bytes(found[PICKLE].read(handle, PICKLE)), limits)
    refuse_hostile(named)
    content = content_of(root, limits)
    storages: dict[str, Any] = {}
    for key, claim in (*content.tensors.items(), *content.small.items()):
        stretch = found.get(f"data/{claim.storage}")
        if stretch is None:
            raise CheckpointError("YG434", f"'{shown(key)}' has no data in the archive")
        check_claim(claim, stretch.size, key, limits)
        storages[claim.storage] = asdict(stretch)
    return {
        "tensors": {key: asdict(claim) for key, claim in content.tensors.items()},
        "small": {key: asdict(claim) for key, claim in content.small.items()},
        "storages": storages,
        "facts": content.facts,
        "names": content.names,
    }
