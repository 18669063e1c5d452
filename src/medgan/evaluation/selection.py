"""Select the weights of a detector on validation, without anomaly labels where that is possible.

AUCp (Brainomaly, Siddiquee 2024) is the AUC of held-out normals (0) against a held-out unlabelled
mix (1). With r the normal share of the mix, AUCp = r/2 + (1 - r) AUC: it rises with the AUC, so the
best of it is the best of the other, up to chance, and no anomaly label is read. Deviation: the
paper takes training normals and the test set; here both sets are halves of the validation patients,
of one of which only the normals are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.scores import Images, batches_on_device_of, score_images
from medgan.stats.classification import auroc, standard_error

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class HeldOut:
    """Validation images that a training may use."""

    rows: NDArray[np.int64]
    """(n,) of the image store."""
    anomalous: NDArray[np.bool_]
    """(n,), read by the validation AUROC alone."""
    known_normal: NDArray[np.bool_]
    """(n,) the held-out normals of AUCp."""
    unlabelled: NDArray[np.bool_]
    """(n,) the held-out mix of AUCp."""

    @classmethod
    def of(cls, splits: pd.DataFrame, limit: int, seed: int) -> HeldOut:
        """At most `limit` validation images, patient after patient: one half of the patients for
        the normals, the other for the mix.
        """
        validation = splits[splits["split"] == "val"]
        groups, _ = pd.factorize(validation["group_id"])
        place = np.random.default_rng([seed, 2]).permutation(int(groups.max(initial=-1)) + 1)[
            groups
        ]
        order = np.argsort(place, kind="stable")[:limit]
        chosen, second = validation.iloc[order], place[order] % 2 == 1
        anomalous = (chosen["label"] == 1).to_numpy()
        return cls(chosen["row"].to_numpy(dtype=np.int64), anomalous, ~second & ~anomalous, second)

    def about(self) -> dict[str, int]:
        """The sizes of the sets, for the model card."""
        return {
            "validation_images": len(self.rows),
            "held_out_normals": int(self.known_normal.sum()),
            "held_out_mix": int(self.unlabelled.sum()),
        }

    def metrics(self, scores: NDArray[np.float32]) -> dict[str, float]:
        """`aucp` and `val_auroc` of the scores (n,), those that are defined, with their standard
        errors `<name>_se`.
        """
        pair = self.known_normal | self.unlabelled
        return {
            **_with_error("aucp", self.unlabelled[pair], scores[pair]),
            **_with_error("val_auroc", self.anomalous, scores),
        }


def _with_error(
    name: str, positive: NDArray[np.bool_], scores: NDArray[np.float32]
) -> dict[str, float]:
    if positive.all() or not positive.any():
        return {}
    area = float(auroc(positive.astype(np.int64), scores, np.ones((1, len(scores))))[0])
    return {
        name: area,
        f"{name}_se": standard_error(area, int(positive.sum()), int((~positive).sum())),
    }


def choose_criterion(wanted: str, splits: pd.DataFrame) -> str | None:
    """The metric that chooses the weights, or None for the last ones.

    Args:
        wanted: `auto`, `aucp`, `val_auroc` or `last`. `auto` takes the first that the data allows.
        splits: AUCp needs an unlabelled mix, and both metrics need anomalous validation images.

    Raises:
        UserError: the wanted criterion is not possible.
    """
    anomalies = bool((splits.loc[splits["split"] == "val", "label"] == 1).any())
    possible: Mapping[str, bool] = {
        "aucp": anomalies and bool((splits["role"] == "mix").any()),
        "val_auroc": anomalies,
    }
    if wanted == "last":
        return None
    if wanted == "auto":
        return next((name for name, there in possible.items() if there), None)
    if not possible[wanted]:
        raise UserError(
            f"`training.criterion: {wanted}` needs anomalous validation images"
            f"{' and an unlabelled mix' if wanted == 'aucp' else ''}, "
            "which these splits do not have: use auto or last."
        )
    return wanted


def metrics_of(
    detector: nn.Module, images: Images, held_out: HeldOut, batch_size: int, seed: int
) -> dict[str, float]:
    """The validation metrics of a detector in training."""
    scored = score_images(
        detector,  # type: ignore[arg-type]  # the caller asks for detectors only
        images,
        held_out.rows,
        batches_on_device_of(detector, batch_size, seed),
    )
    return held_out.metrics(scored.scores)
