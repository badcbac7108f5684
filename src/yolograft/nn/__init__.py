"""Plain building blocks."""
