"""One small file per verb; argument wiring only."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the ``yolograft`` command."""
    from yolograft.cli.app import run

    sys.exit(run(sys.argv[1:]))
