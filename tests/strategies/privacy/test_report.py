"""The privacy block: complete, JSON, and honest in its warnings."""

import json
from math import sqrt

import pytest

from strategies.privacy.accounting import epsilon_of_mu
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.report import Training, certificates_for, certify_global_dp, no_privacy

SIZES = [27] * 14 + [28] * 6
PAPER_STD = GlobalDP(30.0, 1e-2, 0.5, 100, 1)
TRAINING = Training(0.001, 5, sqrt(10), 1e-3)


def block(protocol: GlobalDP = PAPER_STD, **changes: object) -> dict:  # type: ignore[type-arg]
    arguments = {
        "smallest_shard": 27,
        "sizes": SIZES,
        "training": TRAINING,
        "private_noise": True,
    } | changes
    return certify_global_dp(protocol, **arguments)  # type: ignore[arg-type]


def test_names_unit_relation_delta_and_every_adversary() -> None:
    found = block()
    assert found["nominal_epsilon"] == 30.0
    assert (found["unit"], found["relation"], found["delta"]) == ("record", "replace-one", 1e-2)
    for table in (found["certified_epsilon"], found["certified_epsilon_at_strict_delta"]):
        assert set(table) == {"server", "eavesdropper", "broadcast"}
        for row in table.values():
            assert set(row) == {"claimed", "proven", "worst"}
    json.dumps(found, allow_nan=False)


def test_server_figure_by_hand() -> None:
    # mu = sqrt(100) S / sigma_1 with sigma_1 = c S / 30: 10 * 30 / c, whatever S and m are
    mu = 300 / PAPER_STD.constant
    assert block()["certified_epsilon"]["server"]["claimed"] == pytest.approx(
        epsilon_of_mu(mu, 1e-2), rel=1e-12
    )


def test_proven_lies_between_nothing_and_the_worst_case() -> None:
    row = block()["certified_epsilon"]["eavesdropper"]
    assert row["proven"] < row["claimed"] < row["worst"]  # paper-std: drift .0316 < 2B/m .037
    without = block(training=None)["certified_epsilon"]["eavesdropper"]
    assert without["proven"] == without["worst"]


def test_strict_delta_costs_more() -> None:
    found = block()
    for name, row in found["certified_epsilon"].items():
        for key, value in row.items():
            assert found["certified_epsilon_at_strict_delta"][name][key] > value


@pytest.mark.parametrize(
    ("delta", "phrase"),
    [(0.05, "1/|D_i| for 20 of 20"), (0.0365, "1/|D_i| for 6 of 20"), (0.01, "1/|D| = 1/546")],
)
def test_warns_of_a_delta_that_allows_publication(delta: float, phrase: str) -> None:
    texts = block(GlobalDP(30.0, delta, 0.5, 100, 1))["warnings"]
    assert any(phrase in text for text in texts)


def test_a_small_delta_and_system_noise_give_neither_warning() -> None:
    texts = " ".join(block(GlobalDP(30.0, 1e-5, 0.5, 100, 1))["warnings"])
    assert "1/|D" not in texts
    assert "seeded" not in texts


def test_seeded_noise_is_marked() -> None:
    found = block(private_noise=False)
    assert found["noise"] == "seeded noise: not private"
    assert any("seeded noise: not private" in text for text in found["warnings"])


def test_exceeding_the_nominal_claim_is_said() -> None:
    assert any("nominal epsilon 30" in text for text in block()["warnings"])


def test_a_nonlinear_aggregation_is_not_topped_up() -> None:
    found = block(linear=False)
    assert found["broadcast_noise_std"] == 0.0
    server, reader = (found["certified_epsilon"][name] for name in ("server", "broadcast"))
    assert reader == pytest.approx(server)


def test_patient_unit_scales_the_claim_and_not_the_drift() -> None:
    record = certificates_for(0.5, 27, TRAINING)
    patient = certificates_for(0.5, 27, TRAINING, changed=6)
    assert patient["claimed"].value == pytest.approx(6 * record["claimed"].value)
    assert patient["proven"].value == record["proven"].value
    assert patient["worst"].value == record["worst"].value


def test_no_noise_is_null_and_said() -> None:
    found = no_privacy()
    assert found["nominal_epsilon"] is None
    assert "unbounded" in found["warnings"][0]
    json.dumps(found, allow_nan=False)
