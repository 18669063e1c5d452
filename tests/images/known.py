"""Facts in memory, and the tables of a source in one call."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from medgan.images.config import IngestionConfig
from medgan.images.manifest import build_manifest, listing
from medgan.images.metadata import ImageFacts, read_facts
from medgan.sources.registry import ImageSource


class Remembered:
    """`KnownFacts` in a dictionary."""

    def __init__(self) -> None:
        self.facts: dict[str, ImageFacts] = {}

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        return {path: self.facts[path] for path in paths if path in self.facts}

    def add(self, batch: Sequence[ImageFacts]) -> None:
        self.facts.update((facts.path, facts) for facts in batch)


Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def tables(source: ImageSource, config: IngestionConfig, known: Remembered | None = None) -> Tables:
    """Manifest, quarantine and exclusions, as the ingestion pipeline makes them."""
    known = known or Remembered()
    for batch in read_facts(source, listing(source, config)[0]["path"].tolist(), known):
        known.add(batch)
    return build_manifest(source, known, config)
