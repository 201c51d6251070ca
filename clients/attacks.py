"""Hostile clinics: what each attack of :mod:`strategies.trust.attacks` uploads in a real run.

In a simulation attackers collude: each computes what all of them know from their shards, the
same in every process, so that both backends give the same bits. A deployed one is alone.
"""

from functools import lru_cache

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

from clients.clinic import Clinic, clinic_of, simulated_clinic
from clients.coalition import Round, course_of, sight_of
from clients.messages import is_deployed, partition_of, record_of, round_of
from strategies.attack_settings import attackers_of
from strategies.learning.linear_svm import FloatArray
from strategies.randomness import Purpose, generator
from strategies.settings import Settings
from strategies.trust.attacks import Sight, attack_named
from strategies.wrappers.protocol import MODEL, ROUND
from strategies.wrappers.vectors import to_array, to_vector

FIRST_UPLOAD = "first-attack"
"""Key in an attacker's own state of the direction it uploaded first, for replay."""


def hostile_upload(message: Message, context: Context, settings: Settings) -> Message:
    """Return an attacker's reply to a train request: an upload like any other, but for its values.

    Parameters
    ----------
    message : Message
        With the broadcast model and, under global-dp, the noise calibration.
    context : Context
        Its state keeps what was uploaded first.
    settings : Settings
        The run's, ``attack`` among them.
    """
    clinic = clinic_of(context, settings)
    weights = to_vector(record_of(message, ArrayRecord)[MODEL])
    config = record_of(message, ConfigRecord)
    now = Round.asked(settings, round_of(config), config)
    if is_deployed(context):
        members: tuple[Clinic, ...] = (clinic,)
        first = Round.asked(settings, 1, config)
        sight = sight_of(members, now, weights, course_of(members, first, len(weights)))
    else:
        members = _members(settings)
        sight = _shared_sight(now, weights.tobytes())
    own = [member.partition for member in members].index(partition_of(context))
    rng = generator(settings.seed, Purpose.ATTACK_DRAWS, members[0].partition, now.number)
    direction = attack_named(settings.attack)(_with_past(sight, context, own), rng)[own]
    if FIRST_UPLOAD not in context.state:
        context.state[FIRST_UPLOAD] = ArrayRecord({MODEL: to_array(direction)})
    upload = weights + direction / now.scale(clinic)
    content = RecordDict(
        {
            "arrays": ArrayRecord({MODEL: to_array(upload)}),
            "metrics": MetricRecord({"num-examples": clinic.weight, ROUND: now.number}),
        }
    )
    return Message(content, reply_to=message)


def _with_past(sight: Sight, context: Context, own: int) -> Sight:
    """Return the sight with what this attacker uploaded first; the others keep theirs."""
    kept = context.state.get(FIRST_UPLOAD)
    if not isinstance(kept, ArrayRecord):
        return sight
    past = np.zeros((1, *sight.honest.shape))
    past[0, own] = to_vector(kept[MODEL])
    return Sight(**{**vars(sight), "past": past})


def _members(settings: Settings) -> tuple[Clinic, ...]:
    return tuple(simulated_clinic(number, settings) for number in attackers_of(settings))


@lru_cache(maxsize=2)
def _shared_sight(now: Round, broadcast: bytes) -> Sight:
    weights: FloatArray = np.frombuffer(broadcast)
    members = _members(now.settings)
    return sight_of(members, now, weights, _shared_course(now.at_start(), len(weights)))


@lru_cache(maxsize=2)
def _shared_course(first: Round, dimension: int) -> FloatArray:
    return course_of(_members(first.settings), first, dimension)
