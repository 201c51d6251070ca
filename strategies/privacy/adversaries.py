"""Who sees what: the mu of one clinic's unit against each adversary, over a whole run.

Every adversary is passive and knows everything but the unit in question and the noise. Per
clinic i with upload sensitivity S (see the certificate), ``sigma_1`` at the clinic,
``sigma_2`` at the server and shares ``pi``:

- one upload: ``mu_up = S / sigma_1``;
- one broadcast: ``mu_b = pi_i S / sqrt(sigma_1^2 sum_j pi_j^2 + sigma_2^2)``, as the average
  carries ``pi_i`` times the upload and everybody's noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Literal

from strategies.privacy.accounting import AccountingError, mu_of_release

Adversary = Literal["server", "eavesdropper", "broadcast"]
ADVERSARIES: tuple[Adversary, ...] = ("server", "eavesdropper", "broadcast")

ROUNDING = 1e-9  # of the sum of shares

DESCRIPTIONS: dict[Adversary, str] = {
    "server": "honest-but-curious server: all T uploads of a clinic",
    "eavesdropper": "E uploads of a clinic (in E rounds, from all clinics) and every broadcast",
    "broadcast": "reader of the T broadcasts who is no clinic",
}


@dataclass(frozen=True)
class Release:
    """What a run lets out, as every adversary knows it.

    Parameters
    ----------
    upload_noise_std : float
        ``sigma_1``, per coordinate, added by each clinic.
    broadcast_noise_std : float
        ``sigma_2``, per coordinate, topped up by the server.
    shares : tuple of float
        ``pi_i`` of each clinic, positive, adding up to 1.
    rounds : int
        T, how many times each clinic uploads and the model is broadcast.
    exposures : int
        E <= T, uploads of a clinic an eavesdropper is assumed to overhear.
    linear : bool
        Whether the broadcast is the pi-weighted average. If not (Krum, median, FedAdam), it is
        only known to be computed from the uploads and inherits their guarantee.
    schedule : tuple of float
        ``sigma_1`` of each of a clinic's T uploads where they differ; else all are alike.

    Raises
    ------
    AccountingError
        With the offending value, when one of these does not hold.
    """

    upload_noise_std: float
    broadcast_noise_std: float
    shares: tuple[float, ...]
    rounds: int
    exposures: int
    linear: bool = True
    schedule: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        if self.schedule and (len(self.schedule) != self.rounds or min(self.schedule) < 0):
            raise AccountingError(
                f"a schedule names the noise of each of {self.rounds} uploads, at least 0, got "
                f"{self.schedule}"
            )
        if self.upload_noise_std < 0 or self.broadcast_noise_std < 0:
            raise AccountingError(
                f"noise must be at least 0, got {self.upload_noise_std}, {self.broadcast_noise_std}"
            )
        if not self.shares or min(self.shares) <= 0 or abs(fsum(self.shares) - 1) > ROUNDING:
            raise AccountingError("shares must be positive and add up to 1")
        if not 0 <= self.exposures <= self.rounds:
            raise AccountingError(
                f"exposures must lie between 0 and the rounds {self.rounds}, got {self.exposures}"
            )

    def noise_std_of(self, upload: int) -> float:
        """Return sigma_1 of a clinic's upload of this number, the first is 1."""
        return self.schedule[upload - 1] if self.schedule else self.upload_noise_std

    def upload_mu(self, sensitivity: float, upload: int = 1) -> float:
        """Return ``mu_up`` of one upload."""
        return mu_of_release(sensitivity, self.noise_std_of(upload))

    def broadcast_mu(self, sensitivity: float, clinic: int, upload: int = 1) -> float:
        """Return ``mu_b`` of one broadcast for one clinic, never above that of its upload."""
        if not self.linear:
            return self.upload_mu(sensitivity, upload)
        spread = fsum(share * share for share in self.shares)
        noise = sqrt(self.noise_std_of(upload) ** 2 * spread + self.broadcast_noise_std**2)
        return mu_of_release(self.shares[clinic] * sensitivity, noise)

    def mu(self, adversary: Adversary, sensitivity: float, clinic: int) -> float:
        """Return the mu over the whole run of one clinic against one adversary.

        The eavesdropper's rounds with an overheard upload cost ``mu_up``: the broadcast of such
        a round follows from the upload. ``mu^2 = E mu_up^2 + (T - E) mu_b^2``.
        """
        if self.schedule:
            return self._mu_by_upload(adversary, sensitivity, clinic)
        upload = self.upload_mu(sensitivity)
        if adversary == "server":
            return sqrt(self.rounds) * upload if self.rounds else 0.0
        broadcast = self.broadcast_mu(sensitivity, clinic)
        heard = self.exposures if adversary == "eavesdropper" else 0
        parts = (heard, upload), (self.rounds - heard, broadcast)
        return sqrt(fsum(count * mu * mu for count, mu in parts if count))

    def _mu_by_upload(self, adversary: Adversary, sensitivity: float, clinic: int) -> float:
        """Return the same where uploads differ: the eavesdropper hears the least noised."""
        numbers = sorted(range(1, self.rounds + 1), key=self.noise_std_of)
        heard = {"server": self.rounds, "eavesdropper": self.exposures}.get(adversary, 0)
        return sqrt(
            fsum(
                self.upload_mu(sensitivity, number) ** 2
                if place < heard
                else self.broadcast_mu(sensitivity, clinic, number) ** 2
                for place, number in enumerate(numbers)
            )
        )

    def round_mus(self, sensitivity: float, clinic: int, uploads_before: int) -> dict[str, float]:
        """Return the mu that one more round costs a clinic, by adversary, for its ledger.

        The eavesdropper is charged for an upload in the first E rounds and for a broadcast in
        the others: whichever rounds it really hears, the run adds up to :meth:`mu`.
        """
        number = min(uploads_before + 1, max(self.rounds, 1))
        upload = self.upload_mu(sensitivity, number)
        broadcast = self.broadcast_mu(sensitivity, clinic, number)
        heard = upload if uploads_before < self.exposures else broadcast
        return {"server": upload, "eavesdropper": heard, "broadcast": broadcast}

    def worst_mu(self, adversary: Adversary, sensitivity: float) -> float:
        """Return the mu of the clinic with the largest share: no other clinic's is larger."""
        largest = max(range(len(self.shares)), key=self.shares.__getitem__)
        return self.mu(adversary, sensitivity, largest)


def release_from_sizes(
    upload_noise_std: float,
    broadcast_noise_std: float,
    sizes: Sequence[float],
    rounds: int,
    exposures: int,
    *,
    linear: bool = True,
) -> Release:
    """Return the :class:`Release` of clinics that hold ``sizes`` records, ``pi = sizes / sum``."""
    if not sizes or min(sizes) <= 0:
        raise AccountingError("sizes must be one positive number for each clinic")
    total = fsum(sizes)
    shares = tuple(size / total for size in sizes)
    return Release(upload_noise_std, broadcast_noise_std, shares, rounds, exposures, linear)
