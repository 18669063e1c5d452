"""What the labels are, how often they are wrong, and what that does to an AUROC.

With labels that are wrong at random - independent of the score, given the true class - the observed AUROC is pulled towards one half:
AUC_observed = (1 - a - b) AUC_true + (a + b) / 2, with a the share of images labelled anomalous that are normal and b the share of images
labelled normal that are anomalous (Menon 2015, Learning from corrupted binary labels, corollary 3). Even a perfect detector then shows
1 - (a + b) / 2. Labels are mostly wrong where images are hard, so the true loss is smaller than this: it is a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medgan.evaluation.cohort import NOT_REPORTED
from medgan.evaluation.config import LabelNoise

ASSUMPTION = (
    "A bound for labels that are wrong at random. Labels are mostly wrong where images are hard, for readers and detectors alike: "
    "then the AUROC suffers less than this, or is even too high."
)


def reference_standard(text: str | None, noise: LabelNoise | None, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The reference standard as it is reported, and what its noise may have cost each detector.

    Args:
        text: who labelled what, how; None where nobody said.
        noise: shares of wrong labels among the images labelled anomalous and normal; None where they are not known.
        rows: the row of each detector, with its `auroc`.
    """
    about = {"reference_standard": text or NOT_REPORTED}
    if noise is None:
        return {**about, "label_noise": {"reported": NOT_REPORTED}}
    attenuation = 1.0 - noise.anomalous - noise.normal
    return {
        **about,
        "label_noise": {
            "reported": {"anomalous": noise.anomalous, "normal": noise.normal},
            "ceiling": 1.0 - (noise.anomalous + noise.normal) / 2,
            "auroc_if_labels_were_right": {name: _corrected(row["auroc"], attenuation) for name, row in rows.items()},
            "assumption": ASSUMPTION,
        },
    }


def _corrected(observed: Mapping[str, Any], attenuation: float) -> dict[str, Any]:
    """The estimate and its bounds as they would be without noise, at most 1."""
    return {name: _without_noise(bound, attenuation) if isinstance(bound, float) else bound for name, bound in observed.items()}


def _without_noise(observed: float, attenuation: float) -> float:
    return min(max(0.5 + (observed - 0.5) / attenuation, 0.0), 1.0)
