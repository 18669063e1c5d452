"""ingestion: source -> manifest, quarantine, data_profile, contact_sheet, near_duplicates and their sheet."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.ingestion import near_duplicates, nodes


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline."""
    return Pipeline(
        [
            Node(nodes.ingest, ["source", "params:ingestion"], ["manifest", "quarantine"], name="ingest"),
            Node(nodes.profile_data, ["manifest", "quarantine"], "data_profile", name="profile_data"),
            Node(nodes.plot_contact_sheet, ["source", "manifest"], "contact_sheet", name="plot_contact_sheet"),
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
