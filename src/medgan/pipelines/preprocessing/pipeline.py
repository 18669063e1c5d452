"""preprocessing: source, manifest, near_duplicates -> images, splits, leakage_audit."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.preprocessing import nodes


def create_pipeline(**_: object) -> Pipeline:
    """Two nodes that need the manifest and not each other."""
    return Pipeline(
        [
            Node(
                nodes.split_images,
                ["manifest", "params:preprocessing", "params:seed", "near_duplicates", "near_duplicates_summary"],
                ["splits", "leakage_audit"],
                name="split_images",
            ),
            Node(nodes.build_images, ["source", "manifest", "params:preprocessing", "params:ingestion"], "images", name="build_images"),
        ],
        tags="preprocessing",
    )
