"""preprocessing: source, manifest, near_duplicates -> images, splits, leakage_audit, cut_profile and its figure."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.preprocessing import nodes


def create_pipeline(**_: object) -> Pipeline:
    """What is stored, what the splits are, and what was cut off; all from the manifest."""
    return Pipeline(
        [
            Node(
                nodes.split_images,
                ["manifest", "params:preprocessing", "params:seed", "near_duplicates", "near_duplicates_summary"],
                ["splits", "leakage_audit"],
                name="split_images",
            ),
            Node(nodes.build_images, ["source", "manifest", "params:preprocessing", "params:ingestion"], "images", name="build_images"),
            Node(nodes.measure_cut, ["manifest", "params:preprocessing"], "cut_profile", name="measure_cut"),
            Node(nodes.plot_cut, ["source", "manifest", "params:preprocessing", "cut_profile"], "cut_figure", name="plot_cut"),
        ],
        tags="preprocessing",
    )
