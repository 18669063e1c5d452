"""How the figures were made, and what they do not show."""

from __future__ import annotations

from collections.abc import Iterator

from medgan.evaluation.intervals import IMAGE_INTERVALS_ARE
from medgan.evaluation.story.parts import Material, Section, Sentences, Terms
from medgan.evaluation.wording import readable, seeds_of, size_of

LIMITS = (
    "Not a medical device: research only, never for a diagnosis or any decision about a patient.",
    "The figures hold for images like these test images. Other scanners, hospitals, ages or diseases need a test of their own.",
    "Intervals show the chance of which patients were sampled. The weights are held fixed: the spread between seeds is not in them.",
    "Overlapping intervals are no test of a difference between two detectors; the paired tests are.",
    "The best detector is the best on these test images: the highest of several figures is a little too high.",
    "Anomaly scores of different detectors have different scales; only their order within one detector means something.",
    "A heat map shows where a detector was surprised, which is not where a disease is.",
)


def protocol(material: Material) -> Section:
    """What was measured on what."""
    takeaway = "Test labels were read for the figures and for nothing else; thresholds and weights were frozen before."
    provenance = {readable(str(key)): str(value) for key, value in material.document["provenance"].items()}
    terms = [Terms(provenance, "Provenance")] if provenance else []
    return Section("method", "Method and provenance", takeaway, [Sentences(list(_protocol(material))), *terms])


def _protocol(material: Material) -> Iterator[str]:
    if not material.order:
        return
    rows = material.rows
    first = rows[material.order[0]]
    rules = sorted({row["threshold"]["rule"] for row in rows.values()})
    yield (
        f"All figures are on the {material.document['split']} split: {size_of(first)}, {first['n_anomalous']:,} of the images anomalous. "
        "Its labels were read for these figures and for nothing else."
    )
    yield (
        f"Thresholds come from validation by the rule {' and '.join(rules)}, and stay frozen. "
        "'Labels used' says whether labels of validation images chose the threshold."
    )
    if first.get("scored_unit") == "volume":
        yield (
            "Slices were scored, volumes are judged: the slices of a volume give it one score, as 'One score for each volume' says, "
            "and figures count volumes."
        )
    resamples = material.document["provenance"].get("bootstrap resamples", "the configured number of")
    yield f"Intervals: 95 %, from {resamples} resamples of whole " + (
        "patients, the same resamples for all detectors. A figure of exactly 0 or 1 has an exact bound instead."
        if first["interval_unit"] == "patient"
        else f"images. {IMAGE_INTERVALS_ARE}"
    )
    yield f"Detectors: {seeds_of(first)}. What chose the weights of each model stands above; no test image had a part in it."


def limits(_: Material) -> Section:
    """What a reader must not conclude."""
    return Section("limits", "Limits", LIMITS[0], [Sentences(LIMITS[1:])], opened=True)
