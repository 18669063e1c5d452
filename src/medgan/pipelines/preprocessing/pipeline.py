"""preprocessing: source, manifest, near_duplicates -> images, masks, splits, leakage_audit,
cut_profile and its figure.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.preprocessing import nodes
from medgan.pipelines.preprocessing import nodes as masks


def create_pipeline(**_: object) -> Pipeline:
    """What is stored, what the splits are, and what was cut off, from the manifest; the masks lie
    beside the images.
    """
    return Pipeline(
        [
            Node(
                nodes.split_images,
                [
                    "manifest",
                    "params:preprocessing",
                    "params:seed",
                    "near_duplicates",
                    "near_duplicates_summary",
                ],
                ["splits", "leakage_audit"],
                name="split_images",
            ),
            Node(
                nodes.build_images,
                ["source", "manifest", "params:preprocessing", "params:ingestion"],
                "images",
                name="build_images",
            ),
            Node(
                nodes.measure_cut,
                ["manifest", "params:preprocessing"],
                "cut_profile",
                name="measure_cut",
            ),
            Node(
                nodes.plot_cut,
                ["source", "manifest", "params:preprocessing", "cut_profile"],
                "cut_figure",
                name="plot_cut",
            ),
            Node(
                masks.build_masks,
                ["source", "mask_folder", "manifest", "images", "params:preprocessing"],
                "masks",
                name="build_masks",
            ),
        ],
        tags="preprocessing",
    )
