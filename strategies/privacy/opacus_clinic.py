"""One clinic's round of DP-SGD on Opacus' PrivacyEngine (torch).

Imported lazily: torch and Opacus take seconds to load. The engine does what it is good at,
per-sample gradients, clipping, Poisson batches that may be empty. Its two sources of randomness
are replaced: without ``torchcsprng`` Opacus draws noise and batches from torch's Mersenne
Twister, which is no CSPRNG and keeps only 32 bits of its seed. Noise comes from the clinic's
:class:`~strategies.randomness.NoiseSource`, batches from
:func:`~strategies.privacy.dp_sgd.poisson_mask`.
"""

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from opacus.data_loader import DPDataLoader
from opacus.optimizers import DPOptimizer
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from torch.utils.data import DataLoader, TensorDataset

from strategies.privacy.dp_sgd import DPSGD, poisson_mask
from strategies.privacy.units import FloatArray

Draw = Callable[[int], FloatArray]


class _SourcedOptimizer(DPOptimizer):  # type: ignore[misc]
    """Opacus' optimizer with noise from a given source; no noise at all without one."""

    draw: Draw

    def add_noise(self) -> None:
        """Subtract ``sigma n`` from the clipped sum: descent then adds it, as the core does."""
        for parameter in self.params:
            normals = torch.from_numpy(self.draw(parameter.numel())).reshape(parameter.shape)
            std = float(self.noise_multiplier) * float(self.max_grad_norm)
            parameter.grad = (parameter.summed_grad - std * normals).view_as(parameter)


class _SourcedSampler(UniformWithReplacementSampler):  # type: ignore[misc]
    """Opacus' Poisson sampler with given masks."""

    def __init__(self, masks: FloatArray, sample_rate: float) -> None:
        super().__init__(num_samples=masks.shape[-1], sample_rate=sample_rate)
        self._masks = iter(masks)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield one pass of batches, each a list of row numbers, possibly empty."""
        for mask in itertools.islice(self._masks, self.steps):
            yield np.flatnonzero(mask).tolist()


class _Engine(PrivacyEngine):  # type: ignore[misc]
    def __init__(self, draw: Draw, sampler: _SourcedSampler) -> None:
        super().__init__(accountant="rdp")
        self._draw, self._sampler = draw, sampler

    def _prepare_data_loader(self, data_loader: DPDataLoader, **_options: Any) -> DataLoader[Any]:
        return DataLoader(
            data_loader.dataset, batch_sampler=self._sampler, collate_fn=data_loader.collate_fn
        )

    def _prepare_optimizer(self, *, optimizer: Any, **options: Any) -> DPOptimizer:
        for unused in ("noise_generator", "distributed", "clipping", "grad_sample_mode"):
            options.pop(unused, None)
        prepared = _SourcedOptimizer(optimizer=optimizer, **options)
        prepared.draw = self._draw
        return prepared


def train_round(
    calibration: DPSGD,
    weights: FloatArray,
    signed: FloatArray,
    draw: Draw,
    sampling_seed: int | None = None,
) -> FloatArray:
    """Run one clinic's k steps and return the model to upload.

    Parameters
    ----------
    calibration : DPSGD
        Noise, sampling and step size.
    weights : ndarray, shape (d,)
        The broadcast model.
    signed : ndarray, shape (units, records, d)
        The shard by unit (:func:`strategies.privacy.units.group_units`); a unit's gradients are
        summed, then clipped together.
    draw : callable
        Returns that many independent standard normal draws.
    sampling_seed : int, optional
        Seed of the Poisson sampling, different in every round, for experiments; without it
        batches come from the operating system's CSPRNG.

    Returns
    -------
    ndarray, shape (d,)
    """
    model = torch.nn.Linear(signed.shape[-1], 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weights)[None, :])
    expected = calibration.sample_rate * len(signed)
    optimizer = torch.optim.SGD(model.parameters(), lr=calibration.learning_rate / expected)
    dataset = TensorDataset(torch.from_numpy(np.ascontiguousarray(signed)))
    masks = poisson_mask(calibration, len(signed), sampling_seed)
    sampler = _SourcedSampler(masks, calibration.sample_rate)
    with _quiet():
        private, stepper, loader = _Engine(draw, sampler).make_private(
            module=model,
            optimizer=optimizer,
            data_loader=DPDataLoader(dataset, sample_rate=calibration.sample_rate),
            noise_multiplier=calibration.noise_multiplier,
            max_grad_norm=calibration.clip_norm,
            loss_reduction="sum",  # an empty batch has no mean
            poisson_sampling=True,
        )
        batches = _forever(loader)
        for _ in range(calibration.steps):
            stepper.zero_grad()
            (batch,) = next(batches)
            loss = torch.relu(1.0 - private(batch)).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            stepper.step()
    result: FloatArray = model.weight.detach().numpy().reshape(-1).copy()
    return result


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


@contextmanager
def _quiet() -> Iterator[None]:
    # Opacus warns that secure_mode is off (its noise is not used), of hooks on leaf tensors, and
    # of every empty first batch (which costs nothing here: the sum of no gradients is zero).
    log = logging.getLogger("opacus.data_loader")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
