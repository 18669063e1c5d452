"""Masks and thumbnails by their names: every spelling, and only beside the image they belong to."""

from __future__ import annotations

import pytest

from medgan.sources.companions import MASK, THUMBNAIL, companions

IMAGES = ["normal/benign (1).png", "normal/p7.jpeg", "normal/scan-3.tif", "normal/IMG_0004.nii.gz"]
MASKS = (
    *("normal/benign (1)_mask.png", "normal/benign (1)_mask_1.png", "normal/benign (1)_mask2.png"),
    *("masks/p7.png", "x/p7_Mask.PNG", "x/P7-MASK.tif", "x/p7.mask.png", "x/p7Mask.png"),
    *("x/mask_p7.png", "x/mask-p7.bmp", "x/p7_seg.nii.gz", "x/p7_segmentation.png", "x/p7_gt.png"),
    *("x/p7_label.png", "x/p7_labels.nii", "x/label_p7.png", "x/p7_ground_truth.png"),
    *("x/p7_GroundTruth.png", "x/p7_annotation.jpg", "x/p7_mask (2).png", "x/segmentation-3.tif"),
    *("x/img_0004_seg.nii.gz", "x/IMG_seg.nii.gz", "x/7mask.png", "x/scan-3_superpixels.png"),
    *("Masks/p7.tif", "ground_truth/p7.png", "Ground Truth/scan-3.png", "labelsTr/p7.nii.gz"),
    *("train_masks/p7_mask.gif", "annotations/deep/p7.png", "masks_test/p7.png", "GT/p7.bmp"),
)


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_beside_its_image_is_found(name: str) -> None:
    images = [*IMAGES, "normal/7.png"]
    assert companions([*images, name]) == {name: MASK}
    assert companions([name, "normal/other.png"]) == {}, "no image stands behind it"


@pytest.mark.parametrize("name", ["x/thumb_p7.jpg", "x/p7_thumbnail.png", "thumbs/p7.jpg"])
def test_a_thumbnail_is_one(name: str) -> None:
    assert companions([*IMAGES, name]) == {name: THUMBNAIL}


@pytest.mark.parametrize(
    "name",
    [
        *("x/unmask_p7.png", "x/p7_masked_man.png", "x/labelled.png", "x/segment7.png"),
        *("mask/other.png", "x/p7_left.png", "x/p7_2.png", "x/p8_mask.png", "x/p7.png"),
    ],
)
def test_other_names_are_images(name: str) -> None:
    assert companions([*IMAGES, name]) == {}


def test_a_class_that_is_called_like_masks_stays_where_its_files_are_their_own() -> None:
    files = [f"{folder}/{folder}{number}.png" for folder in ("label", "none") for number in "123"]
    assert companions([*files, "label/none1.png"]) == {}
