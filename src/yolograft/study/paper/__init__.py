"""What a paper takes from a study: tables, figures, a methods paragraph, citations."""
