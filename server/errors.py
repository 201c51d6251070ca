"""How a run fails."""


class RunFailed(RuntimeError):
    """A run that could not be carried through; the message is one line for the user."""


class BudgetExhausted(RunFailed):
    """A run that ended early because every clinic refused to spend more privacy."""


class StateError(ValueError):
    """Kept state that cannot be used or continued; the message is one line for the user."""
