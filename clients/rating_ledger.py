"""What a noised rating costs a clinic: charged like an upload before it leaves, or it stays.

Ratings and uploads are Gaussian releases of the same records and stand in one ledger, so that a
clinic's limit holds for both together.
"""

from collections.abc import Callable
from hashlib import sha256
from math import sqrt
from typing import cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord

from clients.clinic import clinic_of
from clients.ledger_mod import (
    RATED,
    budget_of,
    check_spent,
    data_name,
    ledger_of,
    ratings_of,
    run_name,
    spent_on_uploads,
    store_of,
)
from clients.messages import record_of, round_of
from clients.noise_mod import epsilon_limit
from strategies.privacy.accounting import epsilon_of_releases
from strategies.privacy.adversaries import ADVERSARIES
from strategies.privacy.ledger import RATING, Budget, Charge, PrivacyBudgetExhausted
from strategies.privacy.mechanisms import slice_counts_of
from strategies.settings import Settings
from strategies.wrappers.protocol import MODEL

_BYTES = 8


def charged_rating(
    message: Message, context: Context, settings: Settings, rate: Callable[[], int]
) -> int:
    """Return the complaints that a clinic may send, as bits, once they are charged for.

    Parameters
    ----------
    message : Message
        The evaluate request.
    context : Context
        Its state counts ratings where there is no ledger on disk.
    settings : Settings
        Of a run with noised ratings.
    rate : callable
        Draws noise and judges; asked again for the same broadcast a ledger on disk answers with
        the same bits, and nothing is charged twice.

    Raises
    ------
    PrivacyBudgetExhausted
        When the clinic's budget does not allow the rating: nothing leaves then.
    """
    limit = epsilon_limit(context, settings.max_nominal_epsilon)
    if settings.rating_epsilon > limit:
        raise PrivacyBudgetExhausted(
            f"ratings of epsilon {settings.rating_epsilon:g} are above this clinic's {limit:g}"
        )
    budget, url = budget_of(context, settings), ledger_of(context, settings)
    if url:
        return _charged_on_disk(message, context, settings, rate, budget)
    done = ratings_of(context)
    _check_count(done + 1, settings)
    if budget.max_epsilon is not None:
        spent, sampled = spent_on_uploads(context, settings)
        mu = sqrt(spent + (done + 1) * slice_counts_of(settings).rating_mu ** 2)
        epsilon = epsilon_of_releases(mu, sampled, budget.delta)
        check_spent(f"rating {done + 1}", epsilon, budget)
    complained = rate()
    context.state[RATED] = MetricRecord({"ratings": done + 1})
    return complained


def rating_charge(run: str, message: Message, settings: Settings) -> Charge:
    """Return what a run's noised rating of a broadcast costs; the same for every adversary.

    Whom ratings shut out shows in the broadcasts, so that their readers are told of them too.
    """
    broadcast = sha256(record_of(message, ArrayRecord)[MODEL].data).hexdigest()
    mu = slice_counts_of(settings).rating_mu
    mus = {str(adversary): mu for adversary in ADVERSARIES}
    return Charge(run, round_of(record_of(message, ConfigRecord)), RATING + broadcast, mus)


def _charged_on_disk(
    message: Message,
    context: Context,
    settings: Settings,
    rate: Callable[[], int],
    budget: Budget,
) -> int:
    store, name = store_of(ledger_of(context, settings)), data_name(context, settings)
    charge = rating_charge(
        run_name(message, settings, clinic_of(context, settings)), message, settings
    )
    known = store.reply(name, charge.key)
    if known is None:
        ledger = store.load(name)
        _check_count(ledger.ratings(charge.run) + 1, settings)
        ledger.charged(charge, budget)  # refused before anything is judged
    elif not known:
        raise PrivacyBudgetExhausted("this rating was given before, too long ago to send it again")
    fresh = rate().to_bytes(_BYTES, "little")
    return int.from_bytes(cast(bytes, store.record(name, charge, fresh, budget)), "little")


def _check_count(number: int, settings: Settings) -> None:
    if number > settings.rounds:
        raise PrivacyBudgetExhausted(
            f"rating {number} refused: this run's ratings are calibrated for {settings.rounds}"
        )
