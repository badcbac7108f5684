"""Pure, torch-free description of a detector: layers, sites, expressions and grafts."""
