"""Attention modules, one paper per file: map in, map of the same shape out."""
