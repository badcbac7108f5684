"""Checkpoints of other programs: read without running anything in them, and placed into our models."""
