"""ingestion: source -> manifest, quarantine, exclusions, ingestion_summary,
near_duplicates, data_profile.
"""

from __future__ import annotations

from kedro.pipeline import Pipeline

from medgan.pipelines.gathering import namespaced, node
from medgan.pipelines.ingestion import nodes

NAME = "ingestion"
CONFIG, SEED = "params:ingestion", "params:seed"


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline."""
    read = ["source", "earlier_image_facts", CONFIG]
    tables = ["manifest", "quarantine", "exclusions"]
    summarized = [*tables, "ingestion_summary"]
    return namespaced(
        [
            node(nodes.read_images, read, "image_facts"),
            node(nodes.make_manifest, ["source", "image_facts", CONFIG], summarized),
            node(nodes.find_near_duplicates, ["source", "manifest", SEED], "near_duplicates"),
            node(nodes.profile_data, ["source", *tables, SEED], "data_profile"),
        ],
        NAME,
    )
