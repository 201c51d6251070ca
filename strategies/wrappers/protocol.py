"""Names that client and server must agree on in messages."""

MODEL = "model"
"""Key of the weight vector within the one ArrayRecord of a model message."""

ROUND = "server-round"
PLACE = "place"
"""A device's place among devices, or a user's among users, where its number does not say it."""
"""Key of the round within every config, as in Flower's own strategies, and in a train reply."""

REFUSAL = "refusal"
"""Key of the ConfigRecord, and of its one entry, in which a client declines a request."""

HELLO = "query.hello"
"""Message type in which the server asks a node who it is."""

EXHAUSTED = "PrivacyBudgetExhausted"
"""What the reason of a refusal begins with when a clinic's privacy budget is spent."""

UPLOAD_NUMBER = "upload-number"
"""Key within a train config: which upload of the run the server believes this to be, from 1."""
