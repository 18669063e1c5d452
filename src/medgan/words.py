"""Texts that several packages share."""

from __future__ import annotations

RESEARCH_ONLY = "Research only; not a medical device."
"""The shortest form, for captions and command help."""
NOT_A_MEDICAL_DEVICE = (
    "Not a medical device: for research only, not for diagnosis or any decision about a patient."
)
"""The full form, for cards, pages, tables and the metadata of images."""

SMOKE_SCALE = "smoke"
SMOKE = "scale=smoke: figures mean nothing"
"""The mark of a model that was trained for a few steps, to try the software."""

GIVEN = "Weights given: whether they have seen these test images is not known."
"""Of a model that was not trained here."""


def readable(name: str) -> str:
    """Replace underscores by spaces: `nearest_neighbour` becomes `nearest neighbour`."""
    return name.replace("_", " ")


def capital(text: str) -> str:
    """Capitalize the first letter, but not of a name with capitals of its own (f-AnoGAN)."""
    first = text.partition(" ")[0]
    return text if first != first.lower() else text[:1].upper() + text[1:]
