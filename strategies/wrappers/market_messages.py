"""What devices, users and server must agree on in the market's messages."""

from collections.abc import Callable

from strategies.wrappers.protocol import ROUND as ROUND

OFFER = "query.offer"
"""Message type in which the server asks a device what it would sell."""

PRICE, VALUE, CHANNELS = "price", "value", "channels"
"""Entries of an offer's MetricRecord: b_i and s_i in micro-credits, C_i."""

DELIVERY = "delivery"
"""Key of the ConfigRecord in which a device delivers."""

BODY, TOKENS = "body", "tokens"
"""Entries of a synthetic delivery's ConfigRecord: its bytes, and what it shows of each cube."""

MASK, METADATA = "mask", "metadata"
"""Entries of a payload's ConfigRecord: a PNG and its JSON."""

TWIN = "twin"
"""Key of the vector that is broadcast, within the one ArrayRecord of an evaluate message."""

VISITED, COMPLAINED = "visited", "complained"
"""Entries of a rating's MetricRecord: cubes as bits, bit k for cube k."""

MICRO = 1_000_000
"""Micro-credits in a credit."""

Name = Callable[[int], str]
"""Lasting name of whoever is reached at a node: hashes and records go by it."""
