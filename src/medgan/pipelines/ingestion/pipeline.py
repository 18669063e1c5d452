"""ingestion: source -> image_facts, manifest, quarantine, exclusions, near_duplicates,
data_profile, and the figures of these.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.ingestion import near_duplicates, nodes


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline."""
    return Pipeline(
        [
            Node(
                nodes.read_images,
                ["source", "image_facts_so_far", "params:ingestion"],
                "image_facts",
                name="read_images",
            ),
            Node(
                nodes.make_manifest,
                ["source", "image_facts", "params:ingestion"],
                ["manifest", "quarantine", "exclusions"],
                name="make_manifest",
            ),
            Node(
                nodes.profile_data,
                ["manifest", "quarantine", "exclusions"],
                "data_profile",
                name="profile_data",
            ),
            Node(nodes.plot_profile, "data_profile", "profile_figure", name="plot_profile"),
            Node(
                nodes.plot_sample,
                ["source", "manifest", "params:seed"],
                ["contact_sheet", "intensity_figure"],
                name="plot_sample",
            ),
            Node(
                nodes.plot_duplicates,
                ["source", "manifest"],
                "duplicates_figure",
                name="plot_duplicates",
            ),
            Node(
                near_duplicates.find_near_duplicates,
                ["source", "manifest", "params:seed"],
                ["near_duplicates", "near_duplicates_summary"],
                name="find_near_duplicates",
            ),
            Node(
                near_duplicates.plot_near_duplicates,
                ["source", "manifest", "near_duplicates"],
                "near_duplicate_pairs",
                name="plot_near_duplicates",
            ),
        ],
        tags="ingestion",
    )
