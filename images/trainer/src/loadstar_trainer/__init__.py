"""Loadstar's trainer: reads one TrainingJob's spec, trains and tests its model, leaves a final record.

In a program of one's own: `loadstar_trainer.report(progress=…, metrics=…)` while it runs, and
`loadstar_trainer.finish(metrics)` at its end. Importing this does not import PyTorch.
"""

from loadstar_trainer.script import finish, report

__version__ = "0.1.0"
__all__ = ["finish", "report"]
