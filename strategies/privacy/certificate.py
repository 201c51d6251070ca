"""Sensitivity certificates: how far one unit can move what a clinic uploads, and why.

The paper's S = 2B/m (eq. 9) is the sensitivity of an *average* of per-record minimisers, not
of a trained model; here it is one claim among others. What can be proved needs either nothing
(both models lie in the ball of radius B), or short training (drift), or a smooth loss.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, isnan
from typing import Any, Literal, Self

Source = Literal["claimed", "proven", "worst", "empirical"]
SOURCES: tuple[Source, ...] = ("claimed", "proven", "worst", "empirical")
ROUNDING = 1e-12
"""A step of exactly 2/beta may come out a few units in the last place above it."""


class CertificateError(ValueError):
    """A certificate whose assumptions do not hold; one line: what, why, what to do."""


@dataclass(frozen=True)
class SensitivityCertificate:
    """A bound on ``||upload(D) - upload(D')||`` over neighbouring shards, with its reason.

    Parameters
    ----------
    value : float
        The bound, in the units of the model vector; infinite when there is none.
    source : str
        ``claimed`` by the paper, ``proven``, ``worst`` (proven without looking at the
        training), or ``empirical`` (a maximum seen, which bounds nothing).
    derivation : str
        The formula with its numbers and where it comes from.
    assumptions : tuple of str
        What has to hold for the bound to hold.

    Raises
    ------
    CertificateError
        For a negative value or an unknown source.
    """

    value: float
    source: Source
    derivation: str
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        if isnan(self.value) or self.value < 0:
            raise CertificateError(f"a sensitivity must be at least 0, got {self.value}")
        if self.source not in SOURCES:
            raise CertificateError(f"unknown source {self.source!r}: use one of {SOURCES}")

    @property
    def holds(self) -> bool:
        """Return whether the value is a proven bound (under its assumptions)."""
        return self.source in ("proven", "worst")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields with JSON values; an infinite bound is null."""
        values = asdict(self) | {"assumptions": list(self.assumptions)}
        return values if isfinite(self.value) else values | {"value": None}

    @classmethod
    def claimed(cls, clip_norm: float, records: int, changed: int = 1) -> Self:
        """Return the paper's ``S = 2B/m`` (eq. 9), times the records one unit may change.

        Parameters
        ----------
        clip_norm : float
            B.
        records : int
            m, size of the smallest shard.
        changed : int
            Most records that belong to one unit: 1 for records, m for a whole clinic.
        """
        _check(clip_norm=clip_norm, records=records, changed=changed)
        share = min(changed, records)
        return cls(
            2 * clip_norm * share / records,
            "claimed",
            f"2 B {_times(share)}/ m = 2 x {clip_norm:g} {_times(share)}/ {records} "
            "(Letafati & Otoum, eq. 9)",
            ("the upload is an average of per-record minimisers, which trained models are not",),
        )

    @classmethod
    def worst_case(cls, clip_norm: float) -> Self:
        """Return ``2B``: two vectors of norm at most B differ by no more, however trained."""
        _check(clip_norm=clip_norm)
        return cls(
            2 * clip_norm,
            "worst",
            f"2 B = 2 x {clip_norm:g}: both uploads are clipped to norm B (eq. 8)",
            ("the whole vector is clipped, bias included",),
        )

    @classmethod
    def drift(
        cls, learning_rate: float, steps: int, gradient_bound: float, l2: float = 0.0
    ) -> Self:
        """Return ``2 eta k G``: how far k short steps from a common start can part.

        Each (sub)gradient of the data term has norm at most G, so each neighbour moves by at
        most ``eta G`` a step apart from the common shrinking by the L2 term; clipping to a ball
        is a projection and never enlarges a distance. Holds for any batches and for any number
        of changed records, so for patients and whole clinics as well.

        Parameters
        ----------
        learning_rate, steps : float, int
            eta and k.
        gradient_bound : float
            G, bound on every record's (sub)gradient; for the hinge the largest ``||x||``.
        l2 : float
            Weight of the L2 term; needs ``eta l2 <= 1``.

        Raises
        ------
        CertificateError
            When the L2 step would overshoot or a value is out of range.
        """
        _check(learning_rate=learning_rate, steps=steps, gradient_bound=gradient_bound)
        if not 0 <= learning_rate * l2 <= 1:
            raise CertificateError(
                f"drift bound needs 0 <= eta l2 <= 1, got {learning_rate * l2:g}: lower eta or l2"
            )
        return cls(
            2 * learning_rate * steps * gradient_bound,
            "proven",
            f"2 eta k G = 2 x {learning_rate:g} x {steps} x {gradient_bound:g}: k steps of length "
            "at most eta G from a common start",
            (
                "both neighbours start from the same broadcast model",
                "every record's (sub)gradient has norm at most G, whatever the record",
                "the step is (1 - eta l2) w - eta g with 0 <= eta l2 <= 1",
            ),
        )

    @classmethod
    def smooth(
        cls,
        learning_rate: float,
        steps: int,
        gradient_bound: float,
        records: int,
        *,
        smoothness: float,
        l2: float = 0.0,
        changed: int = 1,
    ) -> Self:
        """Return ``2 eta k C / m``: full-batch descent on a smooth convex loss.

        A gradient step on a convex beta-smooth loss is non-expansive for ``eta <= 2 / beta``
        (Hardt, Recht and Singer, "Train faster, generalize better", 2016, Lemma 3.6), so only
        the changed record, weight ``1/m``, drives the neighbours apart: by ``2 eta C / m`` a step.

        Parameters
        ----------
        learning_rate, steps : float, int
            eta and k, full-batch steps.
        gradient_bound : float
            C, bound on every record's gradient; for a (smoothed) hinge the largest ``||x||``.
        records : int
            m, records of this clinic (or patients, when the loss averages over patients).
        smoothness : float
            beta of one record's loss; for the hinge smoothed with width h, ``C^2 / h``.
        l2 : float
            Weight of the L2 term; it adds to the smoothness.
        changed : int
            Most of the m terms that belong to one unit.

        Raises
        ------
        CertificateError
            When ``eta > 2 / (beta + l2)`` or a value is out of range.
        """
        _check(learning_rate=learning_rate, steps=steps, gradient_bound=gradient_bound)
        _check(records=records, changed=changed)
        total = smoothness + l2
        if not (isfinite(total) and smoothness >= 0 and l2 >= 0):
            raise CertificateError(
                f"the loss is not smooth (beta {smoothness}, l2 {l2}): use the drift bound"
            )
        limit = 2 / total if total else inf
        if learning_rate > limit * (1 + ROUNDING):
            raise CertificateError(
                f"smooth bound needs eta <= 2 / beta = {limit:g}, got {learning_rate:g}: "
                "lower eta or widen the smoothing"
            )
        share = min(changed, records)
        return cls(
            2 * learning_rate * steps * gradient_bound * share / records,
            "proven",
            f"2 eta k C {_times(share)}/ m = 2 x {learning_rate:g} x {steps} x "
            f"{gradient_bound:g} {_times(share)}/ {records}: non-expansive steps "
            "(Hardt, Recht & Singer 2016, Lemma 3.6)",
            (
                "both neighbours start from the same broadcast model",
                "full-batch gradient steps on a convex loss of smoothness beta, eta <= 2 / beta",
                "every feature vector has norm at most C, bias included",
            ),
        )

    @classmethod
    def empirical(cls, distances: Sequence[float]) -> Self:
        """Return the largest distance seen between neighbours: it bounds nothing."""
        if not len(distances):
            raise CertificateError("an empirical sensitivity needs at least one distance")
        return cls(
            float(max(distances)),
            "empirical",
            f"largest of {len(distances)} distances between models of neighbouring shards",
            ("no neighbours further apart exist, which nobody has shown",),
        )


def smallest_proven(certificates: Iterable[SensitivityCertificate]) -> SensitivityCertificate:
    """Return the smallest bound that is proven; the worst case counts, a claim does not.

    Raises
    ------
    CertificateError
        When none of them is proven.
    """
    proven = [certificate for certificate in certificates if certificate.holds]
    if not proven:
        raise CertificateError("no proven sensitivity among them: add the worst case 2B")
    return min(proven, key=lambda certificate: certificate.value)


def _times(share: int) -> str:
    return "" if share == 1 else f"x {share} "


def _check(**values: float) -> None:
    for name, value in values.items():
        least = 1 if name in ("records", "changed") else 0
        if isnan(value) or value < least or (value == inf and name != "gradient_bound"):
            raise CertificateError(
                f"{name.replace('_', ' ')} must be a finite number of at least {least}, got {value}"
            )
