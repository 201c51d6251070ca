"""What a reader must be told beside the figures of a privacy block."""

from collections.abc import Mapping, Sequence

STRICT_DELTA = 1e-5
SEEDED = "seeded noise: not private"
_ROUNDING = 1e-6
"""What the sum of many squares may be off by."""


def warnings_of(
    table: Mapping[str, Mapping[str, float | None]],
    nominal: float | None,
    delta: float,
    sizes: Sequence[int],
    private_noise: bool,
) -> list[str]:
    """Return one line for each thing a reader of the figures has to know.

    Parameters
    ----------
    table : mapping
        Certified eps at ``delta``, by adversary and sensitivity; None is unbounded.
    nominal : float or None
        What the mechanism says of itself.
    delta : float
        The run's delta.
    sizes : sequence of int
        |D_i| of every clinic.
    private_noise : bool
        Whether the noise came from a CSPRNG.
    """
    texts = []
    texts += _delta_warnings(delta, sizes)
    if not private_noise:
        texts.append(f"{SEEDED}: whoever knows the seed can subtract it")
    if any(value is None for row in table.values() for value in row.values()):
        texts.append("null is unbounded: there is no noise against that adversary")
    server = table["server"].get("proven")
    if nominal is not None and (server is None or server > nominal * (1 + _ROUNDING)):
        found = "unbounded" if server is None else f"{server:.4g}"
        texts.append(
            f"nominal epsilon {nominal:g} is not what a curious server is held to: "
            f"proven is {found} at delta {delta:g}"
        )
    return texts


def _delta_warnings(delta: float, sizes: Sequence[int]) -> list[str]:
    largest, total = max(sizes), sum(sizes)
    if delta >= 1 / largest:
        holds = sum(delta >= 1 / size for size in sizes)
        return [
            f"delta {delta:g} is at least 1/|D_i| for {holds} of {len(sizes)} clinics: publishing "
            f"one record outright would satisfy it; read the figures at {STRICT_DELTA:g}"
        ]
    if delta >= 1 / total:
        return [
            f"delta {delta:g} is at least 1/|D| = 1/{total}: publishing each record with that "
            f"probability would satisfy it; read the figures at {STRICT_DELTA:g}"
        ]
    return []
