"""ingestion: source -> manifest, quarantine, exclusions, ingestion_summary,
near_duplicates, data_profile.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.gathering import namespaced
from medgan.pipelines.ingestion import nodes
from medgan.pipelines.ingestion.nodes import find_near_duplicates

NAME = "ingestion"
CONFIG, SEED = "params:ingestion", "params:seed"


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline."""
    read = ["source", "earlier_image_facts", CONFIG]
    tables = ["manifest", "quarantine", "exclusions"]
    return namespaced(
        [
            Node(nodes.read_images, read, "image_facts", name="read_images"),
            Node(
                nodes.make_manifest,
                ["source", "image_facts", CONFIG],
                [*tables, "ingestion_summary"],
                name="make_manifest",
            ),
            Node(
                find_near_duplicates,
                ["source", "manifest", SEED],
                "near_duplicates",
                name="find_near_duplicates",
            ),
            Node(
                nodes.profile_data, ["source", *tables, SEED], "data_profile", name="profile_data"
            ),
        ],
        NAME,
    )
