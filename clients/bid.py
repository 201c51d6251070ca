"""What a clinic asks for its next upload: privacy has a price, and the ledger sets it.

The eps that one more upload costs against a curious server, read from the ledger that the
upload will be charged to, times ``--price-per-epsilon``: payment and ledger read one number.
"""

from flwr.app import Context, Message, MetricRecord, RecordDict

from clients.clinic import clinic_of, public_weight
from clients.ledger_mod import marginal_epsilon, would_exceed
from clients.messages import clinic_settings, refuse
from clients.secure_ledger import marginal_shared_epsilon
from strategies.privacy.ledger import privacy_price
from strategies.wrappers.market_messages import CHANNELS, MICRO, PRICE, VALUE
from strategies.wrappers.protocol import EXHAUSTED


def bid(message: Message, context: Context) -> Message:
    """Answer ``query.offer`` of a run in which clinics sell their uploads."""
    settings = clinic_settings(context)
    if not settings.price_per_epsilon:
        return refuse(message, "this clinic sells nothing: no --price-per-epsilon was set")
    if settings.secure:
        cost = marginal_shared_epsilon(context, settings)  # its budget is checked with its keys
    else:
        exceeded = would_exceed(context)
        if exceeded is not None:
            return refuse(message, f"{EXHAUSTED}: {exceeded}")
        cost = marginal_epsilon(context)
    price = privacy_price(cost, settings.price_per_epsilon)
    value = round(settings.record_value * MICRO) * public_weight(
        clinic_of(context, settings), settings
    )
    metrics = MetricRecord({PRICE: price, VALUE: value, CHANNELS: 1})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
