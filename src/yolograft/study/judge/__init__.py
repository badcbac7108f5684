"""The verdict for anybody's detectors: from prediction files or run folders that other tools wrote."""
