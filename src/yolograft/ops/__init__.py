"""Pure tensor functions on boxes."""
