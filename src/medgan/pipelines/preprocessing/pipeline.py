"""preprocessing: source, manifest, near_duplicates -> images, masks, splits, leakage_audit, cut,
data_summary.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.gathering import namespaced
from medgan.pipelines.preprocessing import nodes

NAME = "preprocessing"
CONFIG, SEED = "params:preprocessing", "params:seed"


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline: the masks lie beside the images."""
    return namespaced(
        [
            Node(
                nodes.split_images,
                ["manifest", CONFIG, SEED, "near_duplicates"],
                ["splits", "leakage_audit"],
                name="split_images",
            ),
            Node(
                nodes.build_images,
                ["source", "manifest", CONFIG, "params:ingestion", "quarantine", "exclusions"],
                "images",
                name="build_images",
            ),
            Node(nodes.measure_cut, ["source", "manifest", CONFIG], "cut", name="measure_cut"),
            Node(
                nodes.build_masks,
                ["source", "mask_folder", "manifest", "images", CONFIG],
                "masks",
                name="build_masks",
            ),
            Node(
                nodes.summarize_data,
                ["ingestion_summary", "manifest", "splits", "leakage_audit", "mask_folder"],
                "data_summary",
                name="summarize_data",
            ),
        ],
        NAME,
    )
