"""What a classifier tells: the category of an image, whether it is normal, or each of its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.images.labels import one_finding

ANOMALOUS = "anomalous"


@dataclass(frozen=True)
class Task:
    """The classes of a classifier, and the images that it can learn them from."""

    classes: Callable[[tuple[str, ...]], tuple[str, ...]]
    """Its classes, given the categories of the data set; the first is `normal`."""
    several: bool = False
    """Whether an image may be of several classes."""

    def images(self, splits: pd.DataFrame) -> pd.DataFrame:
        """Return the images that have a label of this task."""
        return splits if self.several else one_finding(splits)

    def labels(self, categories: NDArray[Any], classes: int) -> NDArray[Any]:
        """Convert category labels (n,) or (n, K) to those of the task: (n,) int64, or (n, K) float32
        where an image may be of several classes.
        """
        if not self.several:
            return np.asarray(np.minimum(categories, classes - 1))
        return categories if categories.ndim == 2 else np.eye(classes, dtype=np.float32)[categories]


TASKS: Mapping[str, Task] = {
    "categories": Task(lambda categories: categories),
    "anomaly": Task(lambda categories: (NORMAL, ANOMALOUS)),
    "findings": Task(lambda categories: categories, several=True),
}
"""`classifier_training.task` -> what it is."""
