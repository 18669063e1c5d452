"""Settings of synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from medgan.audits.gate import ReleaseConfig
from medgan.errors import require
from medgan.evaluation.spaces import SpaceName
from medgan.metrics.precision_recall import Neighbours
from medgan.ranges import Count, Range, Seed
from medgan.sources.medigan.drawing import AGREE
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class SynthesisConfig:
    """Section `synthesis`."""

    images_per_class: Count = 200
    grid_per_class: Annotated[int, Range(1, 100)] = 16
    """Images of each class in the sample grid."""
    paired_images: Annotated[int, Range(1, 10_000)] = 200
    """Images of each class in the paired metrics (PSNR, MS-GMSD, LPIPS), whose nearest pairing
    takes the square of it.
    """
    lpips_backbone: Literal["squeeze", "alex", "vgg"] = "squeeze"
    """Values of different backbones are not comparable."""
    spaces: Mapping[SpaceName, str | None] = field(default_factory=dict)
    """Further feature spaces, and the files of their weights; null searches torchvision's download
    folder, and nothing is downloaded.
    """
    neighbours: Neighbours = field(default_factory=Neighbours)
    """k of precision and recall, and of density and coverage; values of different k do not
    compare.
    """
    domain_features: TrainingConfig = field(default_factory=TrainingConfig)
    """Budget of the classifier whose features the figures of the domain rest on; it learns on the
    real training split.
    """
    domain_features_seed: Seed = 0
    """Seed of that classifier, apart from that of the run: features of different networks do not
    compare.
    """
    release: ReleaseConfig = field(default_factory=ReleaseConfig)
    """Limits of the release gate."""
    source: str | None = None
    """`medigan:ID` or `medigan:PATH`: judge the images of a package instead of the generators'."""
    source_class: str | None = None
    """The class of the data set that the images of the source show."""
    source_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the package's `generate` function."""
    source_python: str | None = None
    """A Python that has what the package needs; without one an environment is made."""
    run_foreign_code: bool = False
    """Whether the Python code of the package may run."""

    def __post_init__(self) -> None:
        require(
            self.source is None or self.source_class is not None,
            f"synthesis.source is {self.source}, and it is not said which class its images show; "
            "give --params synthesis.source_class=NAME",
        )
        require(self.source is None or self.run_foreign_code, AGREE.format(source=self.source))
