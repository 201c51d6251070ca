"""The ClientApp: what a clinic answers to ``query.hello``, ``train`` and ``evaluate``.

On a market devices and users answer in its place (:mod:`clients.market_mods`).
"""

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from clients import secure_phases
from clients.attack_mod import attack
from clients.clinic import Clinic, clinic_of, public_weight
from clients.ledger_mod import charge_upload, upload_number
from clients.market_mods import man_in_the_middle, serve_device, serve_hello, serve_user
from clients.messages import (
    clients_of,
    clinic_settings,
    is_deployed,
    noise_of,
    partition_of,
    record_of,
    refuse,
    round_of,
)
from clients.noise_mod import clip_then_noise, noise_source
from clients.private_training import private_upload
from clients.seal_mod import seal_reply
from clients.secure_mod import mask_upload
from strategies.learning.linear_svm import FloatArray
from strategies.privacy.ledger import PrivacyBudgetExhausted
from strategies.settings import CERTIFIED_PRIVACY, Settings
from strategies.wrappers.protocol import EXHAUSTED, MODEL, ROUND
from strategies.wrappers.vectors import to_array, to_vector

LOCAL_EVALUATION = "local-evaluation"
"""Key in a client's own state of its latest diagnosis, ``Diagnosis.as_lists``."""

app = ClientApp()


@app.query("hello", mods=[seal_reply, serve_hello])
def hello(message: Message, context: Context) -> Message:
    """Say who this is: role, source of noise, partition, and what its uploads weigh (public)."""
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    if settings.secure and clinic.weight < settings.min_records:
        return refuse(message, "this clinic holds fewer records than --min-records asks for")
    metrics = MetricRecord(
        {
            "num-examples": public_weight(clinic, settings),
            "partition-id": partition_of(context),
            "num-partitions": clients_of(context) or 0,
        }
    )
    config = ConfigRecord({"role": "clinic", "noise": noise_of(context, settings)})
    content = RecordDict({"metrics": metrics, "config": config})
    return Message(content, reply_to=message)


@app.query("offer", mods=[seal_reply, attack])
def offer(message: Message, context: Context) -> Message:
    """Say what this client would sell: a device its delivery, a clinic its next upload."""
    if clinic_settings(context).is_market:
        from clients import device

        return device.offer(message, context)
    from clients.bid import bid

    return bid(message, context)


app.query("secagg_keys")(secure_phases.keys)
app.query("secagg_shares")(secure_phases.shares)
app.query("secagg_check")(secure_phases.check)
app.query("secagg_unmask")(secure_phases.unmask)


@app.train(
    mods=[
        man_in_the_middle,
        seal_reply,
        mask_upload,
        attack,
        serve_device,
        charge_upload,
        clip_then_noise,
    ]
)
def train(message: Message, context: Context) -> Message:
    """Train from the broadcast model; nothing leaves that is not noised and charged for.

    Under global-dp the mod clips and noises what this returns; the certified mechanisms noise
    within their steps. The reply carries the model, the public record count and the round it
    answers, and no loss or other exact figure of private records.
    """
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    weights = to_vector(record_of(message, ArrayRecord)[MODEL])
    server_round = round_of(record_of(message, ConfigRecord))
    if is_deployed(context) and server_round > 1:
        keep_evaluation(clinic, weights, settings, context)  # of the round before: no phase for it
    if settings.privacy in CERTIFIED_PRIVACY:
        noise = noise_source(noise_of(context, settings), settings.seed, clinic.partition)
        number = upload_number(message, context) if settings.first_share else 1
        weights = private_upload(clinic, settings, weights, server_round, noise, number)
    else:
        weights = clinic.train(weights, settings, server_round)
    content = RecordDict(
        {
            "arrays": ArrayRecord({MODEL: to_array(weights)}),
            "metrics": MetricRecord({"num-examples": clinic.weight, ROUND: server_round}),
        }
    )
    return Message(content, reply_to=message)


def keep_evaluation(
    clinic: Clinic, weights: FloatArray, settings: Settings, context: Context
) -> None:
    """Judge a broadcast model on the clinic's own records and keep that in its own state."""
    diagnosis = clinic.evaluate(weights, settings)
    context.state[LOCAL_EVALUATION] = MetricRecord(diagnosis.as_lists())


@app.evaluate(mods=[seal_reply, attack, serve_user])
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the broadcast model locally and keep the result.

    The diagnosis goes into the client's own state (``LOCAL_EVALUATION``), never into the
    reply: exact figures of private records sent every round would void any guarantee.
    """
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    weights = to_vector(record_of(message, ArrayRecord)[MODEL])
    keep_evaluation(clinic, weights, settings, context)
    metrics = MetricRecord({"num-examples": public_weight(clinic, settings)})
    if settings.rates_slices:
        from clients.slice_rating import rate_slices

        try:
            metrics.update(rate_slices(message, context, settings, weights))
        except PrivacyBudgetExhausted as refusal:
            return refuse(message, f"{EXHAUSTED}: {refusal}")
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
