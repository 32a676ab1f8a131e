"""Loadstar's trainer: reads one TrainingJob's spec, trains and tests its model, leaves a final record."""

__version__ = "0.1.0"
