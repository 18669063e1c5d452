"""ingestion: source -> manifest, quarantine, data_profile and its figures."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.ingestion import nodes


def create_pipeline(**_: object) -> Pipeline:
    """The pipeline."""
    return Pipeline(
        [
            Node(nodes.ingest, ["source", "params:ingestion"], ["manifest", "quarantine"], name="ingest"),
            Node(nodes.profile_data, ["manifest", "quarantine"], "data_profile", name="profile_data"),
            Node(nodes.plot_profile, "data_profile", "profile_figure", name="plot_profile"),
            Node(nodes.plot_sample, ["source", "manifest", "params:seed"], ["contact_sheet", "intensity_figure"], name="plot_sample"),
            Node(nodes.plot_duplicates, ["source", "manifest"], "duplicates_figure", name="plot_duplicates"),
        ],
        tags="ingestion",
    )
