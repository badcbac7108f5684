"""From a spec to a Detector: catalog, builder, weights."""
