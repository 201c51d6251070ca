"""The privacy ledger of a clinic: every upload is charged before it leaves, or does not leave.

``max-uploads`` and ``max-epsilon`` in a clinic's node config are its own limits: beyond them
this mod refuses, whatever the server asks. The run's ``--max-uploads`` and ``--max-epsilon`` can
only tighten them. With ``--ledger`` (or ``ledger`` in the node config)
charges add up over all runs on the same data and survive a restart, and a round that is asked
again gets the same bytes; without it a run starts from nothing.
"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.clientapp.typing import ClientAppCallable

from clients.clinic import Clinic, clinic_of
from clients.messages import (
    clinic_settings,
    is_deployed,
    partition_of,
    record_of,
    refuse,
    round_of,
)
from strategies.privacy.accounting import SampledRelease
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.ledger import Budget, Charge, PrivacyBudgetExhausted
from strategies.privacy.mechanisms import spent_epsilon, upload_cost
from strategies.privacy.report_warnings import STRICT_DELTA
from strategies.settings import Settings
from strategies.wrappers.global_differential_privacy import from_config
from strategies.wrappers.protocol import EXHAUSTED, MODEL, UPLOAD_NUMBER
from strategies.wrappers.seal import question_of
from strategies.wrappers.vectors import to_array, to_vector

OWN_LIMITS = ("max-epsilon", "max-uploads", "ledger")
"""Node config of a clinic that counts what it spends."""

SPENT = "privacy-spent"
"""Key in a client's own state: uploads of this run."""

MU_SQUARED, RATED = "mu-squared", "ratings-spent"
"""There what the uploads cost where ratings are charged too; and a key of its own: ratings."""


def charge_upload(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Charge one upload to the clinic's ledger, or refuse it."""
    of_run = clinic_settings(context)
    if not of_run.private:
        own = context.node_config
        if any(own.get(name) for name in OWN_LIMITS) and not own.get("allow-no-noise"):
            return refuse(message, "a run without noise spends more than any budget of this clinic")
        return call_next(message, context)
    settings, smallest = as_asked(message, of_run)
    clinic = clinic_of(context, of_run)
    smallest = smallest or clinic.weight
    url = ledger_of(context, settings)
    try:
        if url:
            return _charged_on_disk(message, context, call_next, settings, smallest)
        budget = budget_of(context, settings)
        done, rated = _uploads(context), ratings_of(context)
        _check(budget, settings, smallest, clinic.norm_bound, done + 1, rated)
    except PrivacyBudgetExhausted as refusal:
        return refuse(message, f"{EXHAUSTED}: {refusal}")
    reply = call_next(message, context)
    if MODEL in _arrays(reply):
        spent = _spent(context)
        if settings.rates_privately:  # ratings are charged on top of what uploads really cost
            mu, _ = upload_cost(settings, smallest, clinic.norm_bound, done + 1)
            spent[MU_SQUARED] = spent_on_uploads(context, settings)[0] + mu * mu
        spent["uploads"] = done + 1
    return reply


def spent_on_uploads(context: Context, settings: Settings) -> tuple[float, list[SampledRelease]]:
    """Return the mu^2 of this run's uploads so far, and those that were sampled."""
    spent = context.state.get(SPENT)
    mu_squared = spent.get(MU_SQUARED, 0.0) if isinstance(spent, MetricRecord) else 0.0
    if settings.privacy != "dp-sgd":
        return float(cast(float, mu_squared)), []
    sampled = upload_cost(settings, 1, 1.0)[1]
    return 0.0, [sampled] * _uploads(context) if sampled else []


def ratings_of(context: Context) -> int:
    """Return how many noised ratings of this run a clinic gave."""
    rated = context.state.get(RATED)
    return int(cast(int, rated["ratings"])) if isinstance(rated, MetricRecord) else 0


def upload_number(message: Message, context: Context) -> int:
    """Return which upload of this run a train message asks a clinic for, the first is 1.

    Its own count, which the server can only raise (``upload-number`` in the train config, when
    it cannot know whether an earlier one was made): a later upload never has less noise.
    """
    settings = clinic_settings(context)
    url, done = ledger_of(context, settings), _uploads(context)
    if url:
        clinic = clinic_of(context, settings)
        ledger = store_of(url).load(data_name(context, settings))
        done = ledger.uploads(run_name(message, settings, clinic))
    return max(done + 1, _asked_number(message))


def _asked_number(message: Message) -> int:
    number = record_of(message, ConfigRecord).get(UPLOAD_NUMBER, 1)
    return number if isinstance(number, int) and number > 0 else 1


def ledger_of(context: Context, settings: Settings) -> str:
    """Return where the clinic keeps its ledger, empty for none beyond the run.

    A deployed clinic's own machine says so: a server must not make it open files or hosts.
    """
    own = context.node_config.get("ledger")
    if own is not None or is_deployed(context):
        return str(cast(str, own or ""))
    return settings.ledger


def own_delta(context: Context, settings: Settings) -> float:
    """Return the delta that the clinic's limits are read at: the run's, or its own if smaller."""
    return min(
        settings.delta, float(cast(float, context.node_config.get("max-delta", STRICT_DELTA)))
    )


def as_asked(message: Message, settings: Settings) -> tuple[Settings, int]:
    """Return settings and smallest shard m as the noise of this very message is calibrated.

    m is 0 where the mechanism calibrates to each clinic's own records.
    """
    if settings.privacy != "global-dp":
        return settings, 0
    try:
        asked, smallest = from_config(record_of(message, ConfigRecord))
    except (KeyError, TypeError, ValueError):
        return settings, 0  # the noise mod refuses it
    return _recalibrated(settings, asked), smallest


@lru_cache(maxsize=64)
def _recalibrated(settings: Settings, asked: GlobalDP) -> Settings:
    if asked == settings.calibration():
        return settings
    return settings.changed(
        epsilon=asked.epsilon,
        delta=asked.delta,
        clip_norm=asked.clip_norm,
        rounds=asked.rounds,
        exposures=asked.exposures,
        reading=asked.reading,
    )


def marginal_epsilon(context: Context) -> float:
    """Return the eps that one more upload of this clinic costs against a curious server.

    Of a mechanism with a proven eps, over all runs on the data where there is a ledger on disk.
    """
    settings = clinic_settings(context)
    clinic = clinic_of(context, settings)
    url, delta = ledger_of(context, settings), own_delta(context, settings)
    if not url:
        done, cost = _uploads(context), (settings, clinic.weight, clinic.norm_bound)
        rated = ratings_of(context)
        after = spent_epsilon(*cost, done + 1, delta, rated)
        return after - spent_epsilon(*cost, done, delta, rated)
    number = _uploads(context) + 1
    mu, sampled = upload_cost(settings, clinic.weight, clinic.norm_bound, number)
    charge = Charge("next", 0, "", {"server": mu} if sampled is None else {}, sampled)
    ledger = store_of(url).load(data_name(context, settings))
    return float(ledger.marginal_epsilon(charge, "server", delta))


def would_exceed(context: Context) -> str | None:
    """Return why one more upload would pass the clinic's budget, None when it would not."""
    settings = clinic_settings(context)
    clinic, budget = clinic_of(context, settings), budget_of(context, settings)
    try:
        cost = clinic.weight, clinic.norm_bound, _uploads(context) + 1
        _check(budget, settings, *cost, ratings_of(context))
    except PrivacyBudgetExhausted as refusal:
        return str(refusal)
    return None


def budget_of(context: Context, settings: Settings) -> Budget:
    """Return the clinic's limits: its own and the run's, whichever is tighter.

    Raises
    ------
    ValueError
        When a limit in the node config is no number of at least 0.
    """
    own = context.node_config
    limits = own.get("max-epsilon", 0.0), own.get("max-uploads", 0.0)
    return _budget(*limits, own_delta(context, settings), settings)


@lru_cache(maxsize=256)
def _budget(epsilon: Any, uploads: Any, delta: float, settings: Settings) -> Budget:
    limits = {}
    for name, said, of_run in (
        ("epsilon", epsilon, settings.max_epsilon),
        ("uploads", uploads, settings.max_uploads),
    ):
        own = float(said)
        if not own >= 0:
            raise ValueError(f"max-{name} of this clinic must be a number of at least 0, got {own}")
        limits[name] = min((limit for limit in (own, of_run) if limit), default=None)
    most = settings.releases if limits["uploads"] is None else int(limits["uploads"])
    return Budget(delta, limits["epsilon"], most)


def _check(
    budget: Budget,
    settings: Settings,
    smallest: int,
    norm_bound: float,
    uploads: int,
    ratings: int,
) -> None:
    if budget.max_uploads is not None and uploads > budget.max_uploads:
        raise PrivacyBudgetExhausted(
            f"upload {uploads} refused, this clinic allows {budget.max_uploads} a run"
        )
    if budget.max_epsilon is not None:
        spent = spent_epsilon(settings, smallest, norm_bound, uploads, budget.delta, ratings)
        check_spent(f"upload {uploads}", spent, budget)


def check_spent(what: str, epsilon: float, budget: Budget) -> None:
    """Raise PrivacyBudgetExhausted where ``what`` would bring epsilon above the budget's."""
    if budget.max_epsilon is not None and epsilon > budget.max_epsilon:
        raise PrivacyBudgetExhausted(
            f"{what} would bring epsilon against the server to {epsilon:.4g}, this clinic "
            f"allows {budget.max_epsilon:g} at delta {budget.delta:g}"
        )


def _charged_on_disk(
    message: Message,
    context: Context,
    call_next: ClientAppCallable,
    settings: Settings,
    smallest: int,
) -> Message:
    of_run = clinic_settings(context)
    clinic, store = clinic_of(context, of_run), store_of(ledger_of(context, of_run))
    name = data_name(context, of_run)
    server_round = round_of(record_of(message, ConfigRecord))
    broadcast = record_of(message, ArrayRecord)[MODEL].data
    number = upload_number(message, context)
    mu, sampled = upload_cost(settings, smallest, clinic.norm_bound, number)
    mus = {} if sampled else dict.fromkeys(("server", "eavesdropper", "broadcast"), mu)
    run = run_name(message, of_run, clinic)
    charge = Charge(run, server_round, sha256(broadcast).hexdigest(), mus, sampled)
    budget = budget_of(context, settings)
    known = store.reply(name, charge.key)
    if known is None:
        store.load(name).charged(charge, budget)  # refused before any training
    elif not known:
        return refuse(message, "this round was answered before, too long ago to send it again")
    reply = call_next(message, context)
    arrays = _arrays(reply)
    if MODEL in arrays:
        fresh = to_vector(arrays[MODEL]).tobytes()
        arrays[MODEL] = to_array(np.frombuffer(store.record(name, charge, fresh, budget), "<f8"))
        done = _uploads(context) + (known is None)
        context.state[SPENT] = MetricRecord({"uploads": done})
    return reply


def data_name(context: Context, settings: Settings) -> str:
    """Return the name under which a clinic's data stands in its ledger.

    A deployed clinic's data is its file (or what ``data-name`` in the node config says); a
    simulated one's is its part of the partition. Records cut differently are other data: the
    ledger cannot know that they overlap.
    """
    named = context.node_config.get("data-name") or context.node_config.get("data-path")
    if named is not None:
        return str(cast(str, named))[-200:]
    cut = (
        f"{settings.data or settings.dataset}|{settings.clients}|{settings.seed}|"
        f"{settings.partition}|{settings.sizes}|{settings.skew}|{settings.unit}"
    )
    return f"clinic {partition_of(context)} of {sha256(cut.encode()).hexdigest()[:12]}"


def run_name(message: Message, settings: Settings, clinic: Clinic) -> str:
    """Return the run's name in the ledger: Flower's run id, and a digest of settings and records.

    Simulated runs share run ids, and two runs with the same settings and seeded noise release
    the same bytes: they are one run, charged once.
    """
    digest = sha256(repr(sorted(settings.as_dict().items())).encode())
    digest.update(clinic.signed.tobytes())  # other records under the same name are another run
    question = question_of(message)  # the run's own name stays when the server resumes it
    run = message.metadata.run_id if question is None else question.run
    return f"{run}-{digest.hexdigest()[:16]}"


def ledger_url(text: str) -> str:
    """Return the SQLAlchemy URL of a ``--ledger``: a URL as it is, a path as an SQLite file."""
    return text if "://" in text else f"sqlite:///{Path(text).expanduser().absolute()}"


def _spent(context: Context) -> MetricRecord:
    """Return what this run's uploads have cost so far, to be added to."""
    spent = context.state.get(SPENT)
    if not isinstance(spent, MetricRecord):
        spent = context.state[SPENT] = MetricRecord()
    return spent


def _uploads(context: Context) -> int:
    spent = context.state.get(SPENT)
    return int(cast(int, spent.get("uploads", 0))) if isinstance(spent, MetricRecord) else 0


def _arrays(reply: Message) -> ArrayRecord:
    records = [r for r in reply.content.values() if isinstance(r, ArrayRecord)]
    return records[0] if records else ArrayRecord()


@lru_cache(maxsize=8)
def store_of(url: str) -> Any:  # a LedgerStore, imported when needed
    """Return the ledgers at a path or URL."""
    from strategies.privacy.ledger_store import LedgerStore  # imports SQLAlchemy

    return LedgerStore(ledger_url(url))
