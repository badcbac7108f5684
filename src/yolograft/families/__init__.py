"""Everything in which detectors differ, one file per family."""
