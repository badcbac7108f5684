"""Files of a paper, each written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(out: Path, content: bytes) -> Path:
    """Write ``content`` to ``out`` in one step, its folder made where missing, and return ``out``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        partial.write_bytes(content)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return out
