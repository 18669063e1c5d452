"""Random batches as a function of their number."""

from collections.abc import Iterator

import pytest
import torch

from medgan.contracts import Batch, ImageSpec

SPEC = ImageSpec(32, 1, ("normal", "bacterial", "viral"))


class RandomBatches:
    """Noise images; what a batch holds depends on the stage and its number alone."""

    def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
        rng = torch.Generator().manual_seed(1000 * len(stage) + index)
        images, other = torch.rand(2, size, 1, 32, 32, generator=rng) * 2 - 1
        return Batch(images, rng, torch.randint(0, 3, (size,), generator=rng), other, index)

    def epoch(self, size: int) -> Iterator[Batch]:
        return (self.draw("epoch", index, size) for index in range(2))


@pytest.fixture
def batches() -> RandomBatches:
    return RandomBatches()


@pytest.fixture
def spec() -> ImageSpec:
    return SPEC
