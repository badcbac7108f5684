"""yolograft: graft a feature module onto a YOLO detector, keep its weights, and judge the result.

Importing this package imports no torch and runs nothing; public names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
