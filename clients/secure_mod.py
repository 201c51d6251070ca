"""The masking client mod: under secure aggregation nothing leaves a clinic that is not masked.

Round 2 of the protocol is the answer to ``train``: the clinic's contribution on the grid, its
share of the noise, its weight, and the masks over all of it.
"""

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable

from clients.clinic import Clinic, clinic_of
from clients.messages import clinic_settings, noise_of, record_of, refuse, round_of
from clients.noise_mod import epsilon_limit
from clients.secure_ledger import charge_masked
from clients.secure_state import recall, remember
from strategies.learning.linear_svm import FloatArray
from strategies.privacy.accounting import AccountingError
from strategies.privacy.ledger import PrivacyBudgetExhausted
from strategies.privacy.shared_upload import (
    IntArray,
    bits_of,
    contribution,
    gradient_rows,
    grid_of,
    update_row,
)
from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.masks import pack, to_words
from strategies.secure_settings import SHARED_NOISE
from strategies.settings import Settings
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.protocol import EXHAUSTED, MODEL
from strategies.wrappers.vectors import to_vector


def mask_upload(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Answer ``train`` with a masked vector where the run aggregates securely."""
    settings = clinic_settings(context)
    if not settings.secure:
        return call_next(message, context)
    limit = epsilon_limit(context, settings.max_nominal_epsilon)
    if settings.privacy == SHARED_NOISE and settings.epsilon > limit:
        return refuse(
            message, f"epsilon {settings.epsilon:g} is above this clinic's limit {limit:g}"
        )
    said = message.content.pop(wire.SECAGG, None)
    if not isinstance(said, ConfigRecord):
        return refuse(message, "asked to train without a session of secure aggregation")
    try:
        return _masked(message, context, call_next, settings, said)
    except PrivacyBudgetExhausted as fault:
        return refuse(message, f"{EXHAUSTED}: {fault}")
    except (RoundAbandoned, AccountingError, KeyError) as fault:
        return refuse(message, str(fault))


def _masked(
    message: Message,
    context: Context,
    call_next: ClientAppCallable,
    settings: Settings,
    said: ConfigRecord,
) -> Message:
    member = recall(context, wire.data(said, wire.SESSION))
    cohort = wire.numbers(said, "cohort")
    broadcast = record_of(message, ArrayRecord)[MODEL]
    server_round = round_of(record_of(message, ConfigRecord))
    clinic = clinic_of(context, settings)
    if clinic.weight > settings.largest_shard:
        return refuse(message, "this clinic holds more records than --largest-shard has room for")
    weights = to_vector(broadcast)
    if settings.privacy == SHARED_NOISE:
        trained = None
    else:
        reply = call_next(message, context)
        if _refused(reply):
            return reply
        trained = to_vector(record_of(reply, ArrayRecord)[MODEL])
    seeded = noise_of(context, settings) == "seeded"
    bits = bits_of(seeded, settings.seed, clinic.partition, server_round)
    grid = grid_of(settings, len(weights), len(cohort))
    rows, weight = rows_of(clinic, settings, weights, server_round, trained)
    values: IntArray = contribution(grid, rows, weight, bits)
    try:
        masked = member.mask(to_words(values, grid.bits), wire.read_letters(said), cohort)
    finally:
        remember(context, member)
    charge_masked(message, context, member, server_round, broadcast.data)
    record = ConfigRecord({wire.MASKED: pack(masked, grid.bits)})
    return Message(RecordDict({wire.SECAGG: record}), reply_to=message)


def rows_of(
    clinic: Clinic,
    settings: Settings,
    weights: FloatArray,
    server_round: int,
    trained: FloatArray | None = None,
) -> tuple[FloatArray, int]:
    """Return a clinic's clipped contributions, shape (rows, d), and its secret weight.

    Parameters
    ----------
    clinic : Clinic
        Its records.
    settings : Settings
        Of the run.
    weights : ndarray, shape (d,)
        The broadcast model.
    server_round : int
        Addresses random streams of training.
    trained : ndarray, shape (d,), optional
        The local model where other mods made it; it is trained here otherwise.
    """
    if settings.privacy == SHARED_NOISE and settings.unit != "clinic":
        return gradient_rows(weights, clinic.units, settings.clip_norm), len(clinic.units)
    if trained is None:
        trained = clinic.train(weights, settings, server_round)
    row = update_row(weights, trained, settings.clip_norm)
    if settings.unit == "clinic":
        return row, 1
    return row * float(clinic.weight), clinic.weight


def _refused(reply: Message) -> bool:
    return not any(isinstance(record, ArrayRecord) for record in reply.content.values())
