"""What a payload that cannot be accepted raises."""


class PayloadError(ValueError):
    """A delivered payload breaks the rules: a short reason, meant for the sender's record."""
