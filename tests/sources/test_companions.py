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
    *("x/p7_segmentation_mask.png", "x/p7_mask_tumour.png", "x/p7-seg-left lung.png"),
    *("x/p7_masked.png", "x/p7_pred.png", "x/p7_grad-cam.png", "x/p7_mask_overlay.png"),
    *("train_masks/p7_mask.gif", "annotations/deep/p7.png", "masks_test/p7.png", "GT/p7.bmp"),
)


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_beside_its_image_is_found(name: str) -> None:
    images = [*IMAGES, "normal/7.png"]
    assert companions([*images, name]) == {name: MASK}
    assert companions([name, "normal/other.png"]) == {}, "no image stands behind it"


LAYOUTS = {
    "Montgomery": (["CXR_png/MC_0001_0.png"], ["ManualMask/leftMask/MC_0001_0.png"]),
    "CBIS-DDSM": (
        ["P_01_LEFT_CC/1.0-full mammogram images-1234/1-1.dcm"],
        ["P_01_LEFT_CC_1/1.0-ROI mask images-1234/1-1.dcm"],
    ),
    "Pascal VOC": (["JPEGImages/7.jpg"], ["SegmentationClass/7.png", "SegmentationObject/7.png"]),
    "STARE": (["stare-images/im0001.png"], ["labels-ah/im0001.ah.png", "labels-vk/im0001.vk.png"]),
    "KiTS": (["case_1/imaging.nii.gz"], ["case_1/segmentation.nii.gz"]),
    "LabelMe": (["7_json/img.png"], ["7_json/label.png"]),
    "BIDS": (
        ["sub-01/anat/sub-01_T1w.nii.gz"],
        [
            "sub-01/anat/sub-01_T1w_dseg.nii.gz",
            "sub-01/anat/sub-01_label-L_desc-T1lesion_mask.nii.gz",
        ],
    ),
    "IDRiD": (
        ["1. Original Images/a. Training Set/IDRiD_01.jpg"],
        ["2. All Segmentation Groundtruths/a. Training Set/1. Exudates/IDRiD_01_EX.tif"],
    ),
    "GlaS": (["train_1.bmp"], ["train_1_anno.bmp"]),
    "one mask for each nucleus": (["7/images/7.png"], ["7/masks/a1.png", "7/masks/b2.png"]),
    "other languages": (["p7.png"], ["p7_Maske.png", "p7_masque.png", "p7_mascara.png"]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_masks_of_public_data_sets_are_found(name: str) -> None:
    images, masks = LAYOUTS[name]
    assert companions([*images, *masks]) == dict.fromkeys(masks, MASK)


@pytest.mark.parametrize(
    "name",
    [
        *("x/thumb_p7.jpg", "x/p7_thumbnail.png", "thumbs/p7.jpg", "x/tn_p7.jpg"),
        "x/p7-150x150.jpg",
    ],
)
def test_a_thumbnail_is_one(name: str) -> None:
    assert companions([*IMAGES, name]) == {name: THUMBNAIL}


@pytest.mark.parametrize(
    "name",
    [
        *("x/unmask_p7.png", "x/p7_masked_man.png", "x/labelled.png", "x/segment7.png"),
        *("mask/other.png", "x/p7_left.png", "x/p7_2.png", "x/p8_mask.png", "x/p7.png"),
        *("x/mask.png", "masks/other.png", "label_1/other.png", "x/other_1.png"),
    ],
)
def test_other_names_are_images(name: str) -> None:
    assert companions([*IMAGES, name]) == {}


def test_a_class_that_is_called_like_masks_stays_where_its_files_are_their_own() -> None:
    files = [f"{folder}/{folder}{number}.png" for folder in ("label", "none") for number in "123"]
    assert companions([*files, "label/none1.png"]) == {}
