"""ingestion: source -> manifest, quarantine, data_profile, contact_sheet."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.ingestion import nodes


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline."""
    return Pipeline(
        [
            Node(nodes.ingest, ["source", "params:ingestion"], ["manifest", "quarantine"], name="ingest"),
            Node(nodes.profile_data, ["manifest", "quarantine"], "data_profile", name="profile_data"),
            Node(nodes.plot_contact_sheet, ["source", "manifest"], "contact_sheet", name="plot_contact_sheet"),
        ],
        tags="ingestion",
    )
