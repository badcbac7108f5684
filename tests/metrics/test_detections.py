"""Detections on disk, and P, R, F1 from match tables."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.metrics.test_ap import random_set, record, table_of
from yolograft.errors import DataError
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable, build_match_table
from yolograft.metrics.scores import best_f1
from yolograft.types import Detections
