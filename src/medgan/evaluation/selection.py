"""Select the weights of a detector on validation, by no more than it is trained on.

A detector of normal images alone keeps its last weights. One that sees an unlabelled mix chooses by
AUCp. AUCp (Brainomaly, Siddiquee 2024) is the AUC of held-out normals (0) against a held-out unlabelled
mix (1). With r the normal share of the mix, AUCp = r/2 + (1 - r) AUC: it rises with the AUC, so the
best of it is the best of the other, up to chance, and no anomaly label is read. Deviation: the
paper takes training normals and the test set; here both sets are halves of the validation patients.
Of the first only the normals are used, of the second as many anomalous images as make the mix like
that of the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.evaluation.scores import Images, batches_on_device_of, score_images
from medgan.stats.placements import Placements

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
    """(n,) the held-out mix of AUCp, with the anomalous share of the training mix at most."""

    @classmethod
    def of(cls, splits: pd.DataFrame, limit: int, seed: int) -> HeldOut:
        """At most `limit` validation images, patient after patient: one half of the patients for
        the normals, the other for the mix.
        """
        validation = splits[splits["split"] == "val"]
        groups, _ = pd.factorize(validation["group_id"])
        rng = np.random.default_rng([seed, 2])
        place = rng.permutation(int(groups.max(initial=-1)) + 1)[groups]
        order = np.argsort(place, kind="stable")[:limit]
        chosen, second = validation.iloc[order], place[order] % 2 == 1
        anomalous = (chosen["label"] == 1).to_numpy()
        share, normals = anomalous_share(splits), second & ~anomalous
        mixed = rng.permutation(np.flatnonzero(second & anomalous))
        unlabelled = normals.copy()
        unlabelled[mixed[: round(normals.sum() * share / (1 - share))]] = True
        rows = chosen["row"].to_numpy(dtype=np.int64)
        return cls(rows, anomalous, ~second & ~anomalous, unlabelled)

    def about(self) -> dict[str, int]:
        """The sizes of the sets, for the model card."""
        return {
            "validation_images": len(self.rows),
            "held_out_normals": int(self.known_normal.sum()),
            "held_out_mix": int(self.unlabelled.sum()),
        }

    def metrics(self, scores: NDArray[np.float32]) -> dict[str, Placements]:
        """`aucp` and `val_auroc` of the scores (n,), those that are defined."""
        pair = self.known_normal | self.unlabelled
        aucp = (self.unlabelled[pair], scores[pair])
        sets = {"aucp": aucp, "val_auroc": (self.anomalous, scores)}
        return {
            name: Placements.of(positive, values)
            for name, (positive, values) in sets.items()
            if positive.any() and not positive.all()
        }


def anomalous_share(splits: pd.DataFrame) -> float:
    """The share of anomalous images in the unlabelled mix of the training; 0 without a mix."""
    mix = splits.loc[splits["role"] == "mix", "label"]
    return float((mix == 1).mean()) if len(mix) else 0.0


def choose_criterion(wanted: str, splits: pd.DataFrame, training_set: TrainingSet) -> str | None:
    """The metric that chooses the weights, or None for the last ones.

    Args:
        wanted: `auto`, `aucp`, `val_auroc` or `last`. `auto` is `aucp` for a detector that sees the
            mix, if that holds anomalous images, and `last` for any other.
        splits: AUCp needs an unlabelled mix, and both metrics need anomalous validation images.
        training_set: what the detector is trained on.

    Raises:
        UserError: the wanted criterion is not possible.
    """
    anomalies = bool((splits.loc[splits["split"] == "val", "label"] == 1).any())
    possible = {"aucp": anomalies and anomalous_share(splits) > 0, "val_auroc": anomalies}
    if wanted == "last":
        return None
    if wanted == "auto":
        return "aucp" if training_set is TrainingSet.MIX and possible["aucp"] else None
    if not possible[wanted]:
        raise UserError(
            f"`training.criterion: {wanted}` needs anomalous validation images"
            f"{' and an unlabelled mix with some' if wanted == 'aucp' else ''}, "
            "which these splits do not have: use auto or last."
        )
    return wanted


def metrics_of(
    detector: nn.Module, images: Images, held_out: HeldOut, batch_size: int, seed: int
) -> dict[str, Placements]:
    """The validation metrics of a detector in training."""
    batches = batches_on_device_of(detector, batch_size, seed)
    # The caller asks for detectors only.
    scored = score_images(detector, images, held_out.rows, batches)  # type: ignore[arg-type]
    return held_out.metrics(scored.scores)
