"""Which part a node of a market plays: a device that sells, or a user that rates."""

from flwr.app import ConfigRecord, Context, Message

from clients.messages import clinic_settings, partition_of
from strategies.settings import Settings
from strategies.wrappers.protocol import PLACE

DEVICE, USER, CLINIC = "device", "user", "clinic"


def role_of(context: Context, settings: Settings) -> str:
    """Return what a node is: its machine says so (``role``), or its place among the simulated."""
    said = context.node_config.get("role")
    if said is not None:
        return str(said)
    if not settings.is_market:
        return CLINIC
    return DEVICE if partition_of(context) < settings.clients else USER


def number_of(context: Context, settings: Settings, request: Message) -> int:
    """Return a device's number among devices, or a user's among users, from 0.

    On separate machines numbers have gaps once a key was revoked; the server then says the place.

    Raises
    ------
    ValueError
        When there is no such place.
    """
    said = request.content.get("config")
    place = said.get(PLACE) if isinstance(said, ConfigRecord) else None
    partition = partition_of(context)
    own = partition if partition < settings.clients else partition - settings.clients
    number = own if place is None else place
    most = settings.clients if role_of(context, settings) == DEVICE else settings.users
    if not isinstance(number, int) or not 0 <= number < most:
        raise ValueError(f"place {number!r} is none among {most}: which device or user is this?")
    return number


def market_of_context(context: Context, role: str) -> Settings | None:
    """Return the market's settings if this node plays ``role`` in one, else None."""
    settings = clinic_settings(context)
    return settings if settings.is_market and role_of(context, settings) == role else None
