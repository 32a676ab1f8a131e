"""How data that cannot be trained on are told of: one sentence with file, place in it, and what to change."""

from loadstar_trainer.failures import Refused


def refusal(file: str, problem: str) -> Refused:
    """`problem` says where in the file, what is wrong and what to do about it."""
    return Refused("InvalidDataset", f"{file}: {problem}.")


def listed(names: list[str], most: int = 20) -> str:
    """Names for a sentence, in their order, cut after `most`."""
    shown = ", ".join(names[:most]) or "nothing"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
