"""Model files whose rows name each other by position: read, aligned with the stock graphs, written."""
