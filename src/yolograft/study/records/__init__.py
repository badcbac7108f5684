"""Finished runs as small files, and what may be done with them: merged, pooled, refused."""
