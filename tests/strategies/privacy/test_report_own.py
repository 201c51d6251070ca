"""The privacy block of certified, dp-gd and dp-sgd: what is claimed is what is certified."""

import json
from math import sqrt

import numpy as np
import pytest

from strategies.privacy.accounting import epsilon_of_mu
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.report_own import certify_dp_sgd, certify_own, release_of

SIZES = [27] * 14 + [28] * 6
UNEVEN = [10, 20, 70]


@pytest.mark.parametrize("make", [DPGradientDescent, CertifiedRelease])
@pytest.mark.parametrize("sizes", [SIZES, UNEVEN])
def test_the_server_is_held_to_the_claim(make, sizes: list[int]) -> None:  # type: ignore[no-untyped-def]
    found = certify_own(make(1.0, 1e-5), sizes, exposures=1, private_noise=True)
    assert found["certified_epsilon"]["server"]["proven"] == pytest.approx(1.0, rel=1e-6)
    assert found["certified_epsilon"]["broadcast"]["proven"] < 0.75
    assert found["warnings"] == []
    json.dumps(found, allow_nan=False)


def test_dp_gd_broadcast_carries_everybodys_noise() -> None:
    mechanism = DPGradientDescent(1.0, 1e-5)
    found = certify_own(mechanism, SIZES, exposures=3, private_noise=True)
    reader = epsilon_of_mu(sqrt(10 / 20) * mechanism.upload_mu, 1e-5)
    listener = epsilon_of_mu(sqrt(3 + 7 / 20) * mechanism.upload_mu, 1e-5)
    assert found["certified_epsilon"]["broadcast"]["proven"] == pytest.approx(reader)
    assert found["certified_epsilon"]["eavesdropper"]["proven"] == pytest.approx(listener)


@pytest.mark.parametrize("make", [DPGradientDescent, CertifiedRelease])
def test_broadcast_mu_is_that_of_simulated_broadcasts(make) -> None:  # type: ignore[no-untyped-def]
    """Oracle: shift and spread of the average when one clinic's upload moves by its sensitivity."""
    mechanism = make(1.0, 1e-5)
    release, certificates = release_of(mechanism, UNEVEN, 0)
    total = sum(UNEVEN)
    for clinic, size in enumerate(UNEVEN):
        if isinstance(mechanism, CertifiedRelease):
            stds = [mechanism.noise_std(n) for n in UNEVEN]
            moved = mechanism.certificate(size).value
        else:
            stds = [mechanism.learning_rate * mechanism.noise_std / n for n in UNEVEN]
            moved = mechanism.learning_rate * 2 * mechanism.clip_norm / size
        spread = np.sqrt(sum((n / total * std) ** 2 for n, std in zip(UNEVEN, stds, strict=True)))
        expected = size / total * moved / spread
        found = release.broadcast_mu(certificates["proven"].value, clinic)
        assert found == pytest.approx(expected, rel=1e-12)


def test_dp_sgd_names_both_relations() -> None:
    mechanism = DPSGD(1.0, 1e-5)
    found = certify_dp_sgd(mechanism, SIZES, exposures=2, private_noise=False)
    table = found["certified_epsilon"]
    assert 0.999 < table["server"]["proven"] <= 1.0
    assert table["broadcast"]["proven"] < table["eavesdropper"]["proven"] < 1.0
    assert found["opacus_epsilon"] < 1.0
    assert "add-remove" in found["opacus_accountant"]
    assert found["relation"] == "replace-one"
    assert any("seeded" in text for text in found["warnings"])
    json.dumps(found, allow_nan=False)


def test_several_local_steps_make_a_broadcast_cost_an_upload() -> None:
    mechanism = DPSGD(1.0, 1e-5, rounds=3, steps=2)
    table = certify_dp_sgd(mechanism, SIZES, exposures=1, private_noise=True)["certified_epsilon"]
    assert table["broadcast"] == table["server"]


def test_a_patient_block_says_so() -> None:
    found = certify_own(
        DPGradientDescent(1.0, 1e-5), SIZES, exposures=1, private_noise=True, unit="patient"
    )
    assert found["unit"] == "patient"
