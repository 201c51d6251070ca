"""What a client agrees to: which code, which runs, and how much privacy in all."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message

from clients.clinic import clinic_of
from clients.ledger_mod import as_asked, data_name, upload_number
from clients.messages import clinic_settings, record_of, round_of
from clients.rating_ledger import rating_charge
from clients.secure_ledger import session_of, worst_mu
from datasets.errors import DataError
from federation.deployment.policy import Policy
from strategies.privacy.accounting import epsilon_of_releases
from strategies.privacy.ledger import Budget, Charge, PrivacyBudgetExhausted
from strategies.privacy.mechanisms import spent_epsilon, upload_cost
from strategies.settings import Settings, SettingsError
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.protocol import EXHAUSTED, MODEL


class Refused(Exception):
    """Why a client does not answer; the server and the client's own record get to know."""


@dataclass
class Consent:
    """Holds requests against a client's policy.

    Parameters
    ----------
    policy : Policy
        The client's own.
    bundles : tuple of str
        SHA-256 of the code that may run; empty for any.
    spent : Path
        Database in which uploads are added up over all runs.
    """

    policy: Policy
    bundles: tuple[str, ...]
    spent: Path

    def to_bundle(self, sha256_: str) -> None:
        """Agree to run a bundle's code, or raise Refused."""
        if self.bundles and sha256_ not in self.bundles:
            raise Refused(f"bundle {sha256_[:12]} is not on this client's list of code it runs")

    def to_request(self, message: Message, context: Context) -> None:
        """Agree to answer a message of a run, or raise Refused; an upload is charged first."""
        try:
            settings = clinic_settings(context)
            objection = self.policy.objection(settings)
            if objection is not None:
                raise Refused(f"outside this client's policy: {objection}")
            kind = message.metadata.message_type.partition(".")[0]
            if settings.secure:
                self._to_cohort(message, settings)
            if kind == "train" and not settings.is_market:
                self._charge(message, context, settings)
            if kind == "evaluate" and settings.rates_slices:
                self._to_rating(message, context, settings)
        except (SettingsError, DataError) as fault:
            raise Refused(str(fault)) from fault
        except PrivacyBudgetExhausted as fault:
            raise Refused(f"{EXHAUSTED}: {fault}") from fault
        except Refused:
            raise
        except Exception as fault:  # whatever a request trips over, it is not agreed to
            raise Refused(f"a request that cannot be read ({type(fault).__name__})") from fault

    def _to_cohort(self, message: Message, settings: Settings) -> None:
        """Agree to the number of clinics that a session is asked of, or masked for."""
        said = message.content.get(wire.SECAGG)
        if message.metadata.message_type == wire.KEYS:
            asked = int(cast(int, cast(ConfigRecord, said)[wire.ASKED]))
        elif message.metadata.message_type == "train":
            asked = len(wire.numbers(cast(ConfigRecord, said), "cohort"))
        else:
            return
        objection = self.policy.objection_to_cohort(settings, asked)
        if objection is not None:
            raise Refused(f"outside this client's policy: {objection}")

    def _charge(self, message: Message, context: Context, settings: Settings) -> None:
        policy = self.policy
        if not policy.counts:
            return
        if not settings.private:
            if policy.max_epsilon_per_round or policy.max_epsilon_total:
                raise Refused("outside this client's policy: a run without noise has no epsilon")
            mus, sampled = {"server": 0.0}, None
        elif settings.secure:
            mus, sampled = {"server": worst_mu(message, settings)}, None
            one = epsilon_of_releases(mus["server"], [], policy.delta)
            self._check_round(one)
        else:
            asked, smallest = as_asked(message, settings)
            clinic = clinic_of(context, settings)
            smallest = smallest or clinic.weight
            one = spent_epsilon(asked, smallest, clinic.norm_bound, 1, policy.delta)
            self._check_round(one)
            number = upload_number(message, context)
            mu, sampled = upload_cost(asked, smallest, clinic.norm_bound, number)
            mus = {} if sampled else {"server": mu}
        released = record_of(message, ArrayRecord)[MODEL].data + session_of(message)
        broadcast = sha256(released).hexdigest()
        config = message.content["config"] if settings.secure else record_of(message, ConfigRecord)
        server_round = round_of(cast(ConfigRecord, config))
        charge = Charge(str(context.run_id), server_round, broadcast, mus, sampled)
        name, store = data_name(context, settings), self._store()
        before = store.load(name)
        new = not before.has(charge.key)
        if policy.max_uploads and new and before.uploads() >= policy.max_uploads:
            raise Refused(
                f"outside this client's policy: {policy.max_uploads} uploads were made, and no "
                "more are allowed over all runs"
            )
        store.record(name, charge, b"", Budget(policy.delta, policy.max_epsilon_total or None))

    def _to_rating(self, message: Message, context: Context, settings: Settings) -> None:
        policy = self.policy
        objection = policy.objection_to_rating(settings)
        if objection is not None:
            raise Refused(f"outside this client's policy: {objection}")
        if not (settings.rates_privately and policy.counts):
            return
        charge = rating_charge(str(context.run_id), message, settings)
        one = epsilon_of_releases(charge.mus["server"], [], policy.delta)
        self._check_round(one, "rating")
        budget = Budget(policy.delta, policy.max_epsilon_total or None)
        self._store().record(data_name(context, settings), charge, b"", budget)

    def _check_round(self, epsilon: float, what: str = "upload") -> None:
        limit = self.policy.max_epsilon_per_round
        if limit and epsilon > limit:
            raise Refused(
                f"outside this client's policy: epsilon {epsilon:.4g} of one {what} is more than "
                f"{limit:g} at delta {self.policy.delta:g}"
            )

    def _store(self) -> Any:
        from strategies.privacy.ledger_store import LedgerStore  # imports SQLAlchemy

        if "_opened" not in self.__dict__:
            self.__dict__["_opened"] = LedgerStore(f"sqlite:///{self.spent.absolute()}")
            self.spent.chmod(0o600)
        return self.__dict__["_opened"]
