"""Lockstep training and evaluation."""
