"""preprocessing: source, manifest -> images, masks, splits, leakage_audit."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.preprocessing import masks, nodes


def create_pipeline(**_: object) -> Pipeline:
    """The splits and the images need the manifest and not each other; the masks lie beside the images."""
    return Pipeline(
        [
            Node(nodes.split_images, ["manifest", "params:preprocessing", "params:seed"], ["splits", "leakage_audit"], name="split_images"),
            Node(nodes.build_images, ["source", "manifest", "params:preprocessing", "params:ingestion"], "images", name="build_images"),
            Node(masks.build_masks, ["source", "mask_folder", "manifest", "images", "params:preprocessing"], "masks", name="build_masks"),
        ],
        tags="preprocessing",
    )
