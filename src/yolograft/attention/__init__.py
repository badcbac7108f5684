"""Attention modules, one paper per file."""
