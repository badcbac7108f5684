"""Fusion modules: several maps of one size in, one map out."""
