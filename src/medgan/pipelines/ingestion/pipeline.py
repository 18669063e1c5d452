"""ingestion: source -> image_facts, manifest, quarantine, exclusions, data_profile, contact_sheet."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.ingestion import nodes


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline."""
    return Pipeline(
        [
            Node(nodes.read_images, ["source", "image_facts_so_far", "params:ingestion"], "image_facts", name="read_images"),
            Node(
                nodes.make_manifest,
                ["source", "image_facts", "params:ingestion"],
                ["manifest", "quarantine", "exclusions"],
                name="make_manifest",
            ),
            Node(nodes.profile_data, ["manifest", "quarantine", "exclusions"], "data_profile", name="profile_data"),
            Node(nodes.plot_contact_sheet, ["source", "manifest"], "contact_sheet", name="plot_contact_sheet"),
        ],
        tags="ingestion",
    )
