"""preprocessing: source, manifest, near_duplicates -> images, masks, splits, leakage_audit, cut,
data_summary.
"""

from __future__ import annotations

from kedro.pipeline import Pipeline

from medgan.pipelines.gathering import namespaced, node
from medgan.pipelines.preprocessing import nodes

NAME = "preprocessing"
CONFIG, SEED = "params:preprocessing", "params:seed"


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline: the masks lie beside the images."""
    stored = ["source", "manifest", CONFIG, "params:ingestion", "quarantine", "exclusions"]
    masked = ["source", "mask_folder", "manifest", "images", CONFIG]
    told = ["ingestion_summary", "manifest", "splits", "leakage_audit", "mask_folder"]
    split = ["manifest", CONFIG, SEED, "near_duplicates"]
    return namespaced(
        [
            node(nodes.split_images, split, ["splits", "leakage_audit"]),
            node(nodes.build_images, stored, "images"),
            node(nodes.measure_cut, ["source", "manifest", CONFIG], "cut"),
            node(nodes.build_masks, masked, "masks"),
            node(nodes.summarize_data, told, "data_summary"),
        ],
        NAME,
    )
