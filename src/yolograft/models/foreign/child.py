"""The process that takes a foreign checkpoint apart: the file comes in as standard input, JSON goes out.

Started by path, without torch and without installed packages. It makes nothing of what the file describes,
and it stands behind the walls of `limits.confine` before it reads the first byte.
"""

from __future__ import annotations

import codecs
import gc
import json
import os
import sys
from io import BufferedReader
from pathlib import Path
from typing import Any

# Codecs load when first used, and behind the walls nothing loads.
CODECS = ("ascii", "latin-1", "cp437", "raw-unicode-escape", "unicode-escape")


def answer(given: str) -> dict[str, Any]:
    """The index of standard input, or the error instead; ``given`` are the limits as JSON."""
    from yolograft.errors import CheckpointError
    from yolograft.models.foreign.index import index_of
    from yolograft.models.foreign.limits import Limits, confine

    limits = Limits(**json.loads(given))
    for name in CODECS:
        codecs.lookup(name)
    confine(limits)
    with open(0, "rb", closefd=False) as handle:
        assert isinstance(handle, BufferedReader)
        try:
            return {"index": index_of(handle, os.fstat(0).st_size, limits)}
        except CheckpointError as error:
            return {"error": [error.code, error.cause, error.fix]}


def main() -> None:
    """Read standard input, write one JSON object, and leave without tearing down what was built."""
    # Nothing built from a pickle is let go of before the end; looking for cycles would only cost time.
    gc.disable()
    sys.stdout.write(json.dumps(answer(sys.argv[1])))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    # Behind the standard library, which nothing installed may shadow.
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    main()
