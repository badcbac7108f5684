"""From runs to a verdict and a report."""
