"""Which part a node of a market plays: a device that sells, or a user that rates."""

from flwr.app import Context

from clients.messages import clinic_settings, partition_of
from strategies.settings import Settings

DEVICE, USER, CLINIC = "device", "user", "clinic"


def role_of(context: Context, settings: Settings) -> str:
    """Return what a node is: its machine says so (``role``), or its place among the simulated."""
    said = context.node_config.get("role")
    if said is not None:
        return str(said)
    if not settings.is_market:
        return CLINIC
    return DEVICE if partition_of(context) < settings.clients else USER


def number_of(context: Context, settings: Settings) -> int:
    """Return a device's number among devices, or a user's among users, from 0."""
    partition = partition_of(context)
    return partition if partition < settings.clients else partition - settings.clients


def market_of_context(context: Context, role: str) -> Settings | None:
    """Return the market's settings if this node plays ``role`` in one, else None."""
    settings = clinic_settings(context)
    return settings if settings.is_market and role_of(context, settings) == role else None
