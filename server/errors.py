"""How a run fails."""


class RunFailed(RuntimeError):
    """A run that could not be carried through; the message is one line for the user."""
