"""What is wrong in a model file of the index dialect, and the file as it was meant."""
