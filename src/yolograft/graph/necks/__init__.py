"""Necks: what stands between backbone and head, rewritten as a whole; pure, spec to spec."""
