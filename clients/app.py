"""The ClientApp: what a clinic answers to ``query.hello``, ``train`` and ``evaluate``."""

from math import isfinite

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from clients.clinic import clinic_of
from clients.messages import clients_of, clinic_settings, partition_of, record_of, round_of
from clients.noise_mod import clip_then_noise
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.vectors import to_array, to_vector

app = ClientApp()


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Say who this is: role, number of records (public by assumption) and partition."""
    metrics = MetricRecord(
        {
            "num-examples": clinic_of(context, clinic_settings(context)).records,
            "partition-id": partition_of(context),
            "num-partitions": clients_of(context) or 0,
        }
    )
    content = RecordDict({"metrics": metrics, "config": ConfigRecord({"role": "clinic"})})
    return Message(content, reply_to=message)


@app.train(mods=[clip_then_noise])
def train(message: Message, context: Context) -> Message:
    """Train from the broadcast model; the mod clips and noises what this returns.

    The reply carries the model and the public record count, and no loss or other exact
    figure of private records.
    """
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    weights = to_vector(record_of(message, ArrayRecord)[MODEL])
    server_round = round_of(record_of(message, ConfigRecord))
    weights = clinic.train(weights, settings, server_round)
    content = RecordDict(
        {
            "arrays": ArrayRecord({MODEL: to_array(weights)}),
            "metrics": MetricRecord({"num-examples": clinic.records}),
        }
    )
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the broadcast model locally and keep the result.

    The diagnosis goes into the client's own state (``local-evaluation``), never into the
    reply: exact figures of private records sent every round would void any guarantee.
    """
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    weights = to_vector(record_of(message, ArrayRecord)[MODEL])
    diagnosis = clinic.evaluate(weights, settings)
    context.state["local-evaluation"] = MetricRecord(
        {key: value for key, value in diagnosis.as_dict().items() if isfinite(value)}
    )
    content = RecordDict({"metrics": MetricRecord({"num-examples": clinic.records})})
    return Message(content, reply_to=message)
