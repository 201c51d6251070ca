"""What a clinic's ledger is charged under shared noise: before it sends, and when it learns more.

A masked input is charged before it leaves, for the fewest survivors with whom a sum may be
opened: whether and with whom it is opened is not in this clinic's hands any more. When it is
asked to unmask it learns who survived, and the charge falls to what their noise really gave. A
round that is abandoned in between keeps the higher charge.
"""

from hashlib import sha256
from typing import Any, cast

from flwr.app import ConfigRecord, Context, Message

from clients.clinic import clinic_of
from clients.ledger_mod import budget_of, data_name, ledger_of, own_delta, run_name, store_of
from clients.messages import clinic_settings
from strategies.privacy.ledger import Charge, Ledger, PrivacyBudgetExhausted
from strategies.privacy.shared_upload import upload_mu
from strategies.secagg.member import Member
from strategies.secure_settings import SHARED_NOISE, terms_of
from strategies.settings import Settings
from strategies.wrappers import secure_messages as wire

SPENT = "shared-noise-spent"
"""Key in a clinic's own state: mu of each upload of this run, and the charge not yet settled."""
_ADVERSARIES = ("server", "eavesdropper", "broadcast")


def mus_of(context: Context) -> list[float]:
    """Return the mu of each upload of this run so far."""
    spent = context.state.get(SPENT)
    return list(cast("list[float]", spent["mus"])) if isinstance(spent, ConfigRecord) else []


def spent_before(context: Context, settings: Settings) -> Ledger:
    """Return what was charged on this clinic's data: on disk over all runs, else in this one."""
    url = ledger_of(context, settings)
    if url:
        return cast(Ledger, store_of(url).load(data_name(context, settings)))
    return Ledger(tuple(_charge("", n, "", mu) for n, mu in enumerate(mus_of(context))))


def next_epsilon(context: Context, settings: Settings, mu: float) -> float:
    """Return the eps against the server after one more upload of this mu."""
    after = (*spent_before(context, settings).charges, _charge("", -1, "", mu))
    return Ledger(after).epsilon("server", own_delta(context, settings))


def marginal_shared_epsilon(context: Context, settings: Settings) -> float:
    """Return the eps that one more upload costs if all clinics take part and survive."""
    mu = upload_mu(settings, settings.clients, settings.clients)
    before = spent_before(context, settings).epsilon("server", own_delta(context, settings))
    return max(0.0, next_epsilon(context, settings, mu) - before)


def check_budget(context: Context, settings: Settings, cohort: int, least: int) -> None:
    """Refuse one more upload that could pass the clinic's limits.

    Parameters
    ----------
    context : Context
        The clinic's.
    settings : Settings
        Of the run.
    cohort : int
        For how many clinics noise is scaled.
    least : int
        Fewest survivors of them with whom a sum may be opened.

    Raises
    ------
    PrivacyBudgetExhausted
        When it would.
    """
    if settings.privacy != SHARED_NOISE:
        return
    budget, uploads = budget_of(context, settings), len(mus_of(context)) + 1
    if budget.max_uploads is not None and uploads > budget.max_uploads:
        raise PrivacyBudgetExhausted(
            f"upload {uploads} refused, this clinic allows {budget.max_uploads} a run"
        )
    if budget.max_epsilon is None:
        return
    after = next_epsilon(context, settings, upload_mu(settings, cohort, least))
    if after > budget.max_epsilon:
        raise PrivacyBudgetExhausted(
            f"upload {uploads} would bring epsilon against the server to {after:.4g} if only "
            f"{least} of {cohort} clinics survived, this clinic allows {budget.max_epsilon:g} at "
            f"delta {budget.delta:g}; --dropouts {cohort - least} makes noise for as few"
        )


def charge_masked(
    message: Message, context: Context, member: Member, server_round: int, broadcast: bytes
) -> None:
    """Charge a masked input before it leaves, for the fewest survivors.

    Raises
    ------
    PrivacyBudgetExhausted
        When it could pass the clinic's limits; nothing is charged then.
    """
    settings = clinic_settings(context)
    if settings.privacy != SHARED_NOISE:
        return
    cohort, least = len(member.cohort), member.terms.least_survivors
    check_budget(context, settings, cohort, least)
    run = run_name(message, settings, clinic_of(context, settings))
    key = sha256(broadcast + member.session).hexdigest()
    charge = _charge(run, server_round, key, upload_mu(settings, cohort, least))
    url = ledger_of(context, settings)
    if url:
        store_of(url).record(data_name(context, settings), charge, b"")
    _keep(context, [*mus_of(context), charge.mus["server"]], charge)


def session_of(message: Message) -> bytes:
    """Return the name of a train message's session, a release of its own; empty for none."""
    said = message.content.get(wire.SECAGG)
    return wire.data(said, wire.SESSION) if isinstance(said, ConfigRecord) else b""


def worst_mu(message: Message, settings: Settings) -> float:
    """Return what a train message's masked input can cost at most: opened with the fewest.

    Without noise nothing bounds it.

    Raises
    ------
    KeyError, ValueError, RoundAbandoned
        When the message has no usable session.
    """
    cohort = len(wire.numbers(cast(ConfigRecord, message.content[wire.SECAGG]), "cohort"))
    return upload_mu(settings, cohort, terms_of(settings, cohort).least_survivors)


def settle(context: Context, member: Member) -> None:
    """Lower the latest charge to what the survivors' noise gives, now that they are known."""
    settings = clinic_settings(context)
    spent = context.state.get(SPENT)
    if settings.privacy != SHARED_NOISE or not isinstance(spent, ConfigRecord):
        return
    mu = upload_mu(settings, len(member.cohort), len(member.survivors))
    values: dict[str, Any] = dict(spent.items())
    charge = _charge(values["run"], values["round"], values["key"], mu)
    url = ledger_of(context, settings)
    if url:
        store_of(url).revise(data_name(context, settings), charge)
    _keep(context, [*mus_of(context)[:-1], mu], charge)


def _keep(context: Context, mus: list[float], charge: Charge) -> None:
    context.state[SPENT] = ConfigRecord(
        {"mus": mus, "run": charge.run, "round": charge.round_, "key": charge.broadcast}
    )


def _charge(run: str, server_round: int, key: str, mu: float) -> Charge:
    return Charge(run, server_round, key, dict.fromkeys(_ADVERSARIES, mu))
