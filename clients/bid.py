"""What a clinic asks for its next upload: privacy has a price, and the ledger sets it.

The eps that one more upload costs against a curious server, read from the ledger that the
upload will be charged to, times ``--price-per-epsilon``: payment and ledger read one number. On
top comes what the work costs it in this round, a share of the upload's worth (``--upload-cost``).
"""

from math import ceil

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict

from clients.clinic import Clinic, clinic_of, public_weight
from clients.ledger_mod import marginal_epsilon, would_exceed
from clients.messages import clinic_settings, record_of, refuse, round_of
from clients.secure_ledger import marginal_shared_epsilon
from strategies.privacy.ledger import privacy_price
from strategies.randomness import Purpose, generator
from strategies.settings import Settings
from strategies.trust_settings import cost_range, upload_channels
from strategies.wrappers.market_messages import CHANNELS, MICRO, PRICE, VALUE
from strategies.wrappers.protocol import EXHAUSTED


def bid(message: Message, context: Context) -> Message:
    """Answer ``query.offer`` of a run in which clinics sell their uploads."""
    settings = clinic_settings(context)
    if settings.auction == "none":
        return refuse(message, "this clinic sells nothing: the run has no auction")
    if settings.private and not settings.secure:  # else its budget is checked with its keys
        exceeded = would_exceed(context)
        if exceeded is not None:
            return refuse(message, f"{EXHAUSTED}: {exceeded}")
    clinic = clinic_of(context, settings)
    value = round(settings.record_value * MICRO) * public_weight(clinic, settings)
    price = work_cost(settings, clinic, round_of(record_of(message, ConfigRecord)), value)
    if settings.price_per_epsilon:
        shared = settings.secure
        cost = marginal_shared_epsilon(context, settings) if shared else marginal_epsilon(context)
        price += privacy_price(cost, settings.price_per_epsilon)
    channels = upload_channels(settings, clinic.signed.shape[1])
    metrics = MetricRecord({PRICE: price, VALUE: value, CHANNELS: channels})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def work_cost(settings: Settings, clinic: Clinic, server_round: int, value: int) -> int:
    """Return what an upload costs a clinic in a round beside privacy, micro-credits."""
    low, high = cost_range(settings)
    if not high:
        return 0
    rng = generator(settings.seed, Purpose.UPLOAD_COST, clinic.partition, server_round)
    return ceil(value * rng.uniform(low, high))
