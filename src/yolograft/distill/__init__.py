"""Distillation: a trained detector, the teacher, beside the boxes in the loss; one method a file."""
