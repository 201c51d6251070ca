"""What the twin raises when a setting or a broadcast cannot be used."""


class TwinError(ValueError):
    """A grid, a weight or an array of the twin that cannot be used: one line, what and why."""
