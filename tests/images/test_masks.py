"""Masks lie where their images' anomalies lie, from a source or a folder, through crop and resizing
into the store.
"""

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from PIL import Image

from medgan.datasets.images import MaskFolderDataset, MaskStoreDataset
from medgan.errors import UserError
from medgan.images.config import PreprocessingConfig
from medgan.images.masks import HasMasks, MaskFolder, belongs, marked, stored_mask
from medgan.images.resizing import Crop, fit_square
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.images.summary import MaskMatch, Named
from medgan.pipelines.preprocessing.nodes import build_masks
from medgan.sources.phantoms import PhantomSource
from tests.faults.making import nifti
from tests.sources.readers.raster_files import tiff

CONFIG = PreprocessingConfig(size=32, crop=Crop(top=0.25, centre=True))


def disc(height, width, row, column, radius):
    rows, columns = np.ogrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def phantoms():
    return PhantomSource(images=16, patients=12).open()


@pytest.fixture
def manifest(phantoms):
    table = phantoms.rows()
    return table.assign(width=64, height=64, label=(table["category_raw"] != "normal").astype(int))


@pytest.fixture
def images(tmp_path, phantoms, manifest):
    pixels = (
        fit_square(phantoms.read(path).pixels, 32, 1, CONFIG.crop) for path in manifest["path"]
    )
    write_store(
        tmp_path / "images",
        pixels,
        StoreInfo(16, 32, 32, 1, "standardised", ("normal", "bacterial", "viral")),
    )
    return ImageStore.open(tmp_path / "images")


@pytest.mark.parametrize("crop", [None, Crop(top=0.25), Crop(centre=True)])
def test_a_mask_goes_where_its_image_goes(crop):
    mask = disc(120, 90, 70, 40, 22)
    image = (mask[:, :, None] * 200).astype(np.uint8)
    stored = stored_mask(mask, 32, crop)[..., 0] == 255
    assert np.array_equal(stored, fit_square(image, 32, 1, crop)[..., 0] > 100)
    assert 0 < stored.sum() < stored.size


def test_no_mask_is_not_an_empty_mask():
    pixels = np.stack(
        [stored_mask(mask, 8) for mask in (None, np.zeros((9, 9), bool), disc(9, 9, 4, 4, 3), None)]
    )
    masks, known = marked(pixels, np.array([False, False, False, True]))
    assert known.tolist() == [False, True, True, True]
    assert [bool(mask.any()) for mask in masks] == [False, False, True, False]


def test_phantoms_give_their_masks_and_the_store_lies_beside_the_images(
    tmp_path, phantoms, manifest, images
):
    assert isinstance(phantoms, HasMasks)
    dataset = MaskStoreDataset(str(tmp_path / "masks"), {"optional": True})
    assert dataset.load() is None
    dataset.save(build_masks(phantoms, None, manifest, images, CONFIG))
    store = dataset.load()
    assert (len(store), store.info.image_shape) == (16, (32, 32, 1))
    assert belongs(store.info.source_key, images.key)
    assert not belongs(store.info.source_key, "another")
    masks, known = marked(store.read(np.arange(16)), (manifest["label"] == 0).to_numpy())
    assert known.all()
    assert np.array_equal(masks.any((1, 2)), (manifest["label"] == 1).to_numpy())
    assert dataset.preview()


def test_a_data_set_without_masks_has_an_empty_store(tmp_path, phantoms, manifest, images):
    class Silent:
        name = "silent"

    dataset = MaskStoreDataset(str(tmp_path / "masks"))
    dataset.save(build_masks(Silent(), None, manifest, images, CONFIG))
    assert dataset.load() is None
    assert dataset.preview()


def folder_of(root, **files):
    (root / "a").mkdir(parents=True)
    for name, mask in files.items():
        stem, suffix = name.rsplit("_", 1)
        Image.fromarray(mask.astype(np.uint8)).save(root / "a" / f"{stem}.{suffix}")
    return MaskFolder(root)


def test_files_of_the_same_names_are_masks(tmp_path):
    mask = disc(40, 30, 20, 15, 9)
    folder = folder_of(
        tmp_path / "masks", x_png=mask * 1, y_jpg=mask * 255, z_tif=np.dstack([mask * 3] * 3)
    )
    assert np.array_equal(folder.mask("a/x.jpeg"), mask)
    assert (folder.mask("a/y.png") != mask).mean() < 0.01
    assert np.array_equal(folder.mask("a/z.png"), mask)
    assert folder.mask("a/none.png") is None
    assert (
        folder.fingerprint("a/x.jpeg")
        != folder.fingerprint("a/y.png")
        != folder.fingerprint("a/none.png")
        == ""
    )


def test_a_folder_goes_before_the_source_and_wrong_sizes_are_refused(
    tmp_path, phantoms, manifest, images
):
    folder = folder_of(tmp_path / "masks", x_png=disc(64, 64, 30, 30, 20))
    rows = manifest.head(1).assign(path="a/x.jpg")
    (stored,) = build_masks(phantoms, folder, rows, images, CONFIG).images()
    assert (stored == 255).any()
    with pytest.raises(UserError, match="64 x 64 pixels, its image 50 x 64"):
        list(build_masks(phantoms, folder, rows.assign(width=50), images, CONFIG).images())


@pytest.mark.parametrize(
    ("prepare", "words"),
    [(lambda root: None, "is no folder"), (lambda root: root.mkdir(), "holds no masks")],
)
def test_a_folder_without_masks_is_refused(tmp_path, prepare, words):
    prepare(tmp_path / "masks")
    with pytest.raises(DatasetError, match=words):
        MaskFolderDataset(str(tmp_path / "masks")).load()


def test_two_masks_of_one_name_and_damaged_ones_are_refused(tmp_path):
    with pytest.raises(UserError, match="two masks of one name"):
        folder_of(tmp_path / "twice", x_png=np.ones((4, 4)), x_tif=np.ones((4, 4)))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "x.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        MaskFolder(tmp_path / "damaged").mask("x.png")


def test_no_folder_is_no_masks():
    assert MaskFolderDataset(None).load() is None


def test_the_table_of_paths_decides_the_order(tmp_path, phantoms, manifest, images):
    forward = np.stack(list(build_masks(phantoms, None, manifest, images, CONFIG).images()))
    backward = np.stack(
        list(build_masks(phantoms, None, pd.DataFrame(manifest[::-1]), images, CONFIG).images())
    )
    assert np.array_equal(forward, backward[::-1])
    assert not np.array_equal(forward, backward)


def test_masks_may_have_a_word_in_their_names_and_several_are_one(tmp_path):
    left, right = disc(40, 30, 20, 8, 5), disc(40, 30, 20, 22, 5)
    folder = folder_of(
        tmp_path / "masks", x_mask_png=left, x_mask_1_png=right, y_segmentation_png=left
    )
    assert np.array_equal(folder.mask("a/x.jpeg"), left | right)
    assert np.array_equal(folder.mask("a/y.tif"), left)
    assert folder.fingerprint("a/x.jpeg").count("/") == 2
    assert folder.unmatched(["a/x.jpeg"]) == ["a/y_segmentation.png"]


def test_pictures_of_marks_are_no_masks(tmp_path):
    mark, other = disc(9, 9, 4, 4, 2), disc(9, 9, 1, 1, 2)
    names = ("x_overlay", "x_pred", "x_heatmap", "x_annotated")
    folder = folder_of(
        tmp_path / "m",
        x_mask_png=mark,
        x_mask_b_png=other,
        **{f"{name}_png": ~mark for name in names},
    )
    assert np.array_equal(folder.mask("a/x.png"), mark | other)
    assert folder.unmatched(["a/x.png"]) == sorted(f"a/{name}.png" for name in names)


def test_beside_the_images_only_names_with_such_a_word_are_masks(tmp_path):
    image, mask = disc(9, 9, 4, 4, 4), disc(9, 9, 4, 4, 2)
    folder = folder_of(tmp_path / "both", x_png=image, x_mask_png=mask, y_png=image)
    assert np.array_equal(folder.mask("a/x.png"), mask)
    assert folder.mask("a/y.png") is None


def test_masks_beside_the_images_are_counted_without_these(tmp_path):
    mark = disc(9, 9, 4, 4, 2)
    folder = folder_of(tmp_path / "both", x_png=mark, x_mask_png=mark, y_png=mark, z_mask_png=mark)
    assert folder.unmatched(["a/x.png", "a/y.png"]) == ["a/z_mask.png"]


@pytest.mark.parametrize("suffix", ["gif", "webp", "npy", "nii.gz"])
def test_masks_of_other_formats_are_not_passed_over(tmp_path, suffix):
    mark = disc(9, 9, 4, 4, 2).astype(np.uint8)
    folder_of(tmp_path / "m", x_png=mark)
    beside = tmp_path / "m" / "a" / f"y.{suffix}"
    if suffix == "npy":
        np.save(beside, mark)
    elif suffix == "nii.gz":
        nifti(beside, mark[..., None])
    else:
        Image.fromarray(mark).save(beside)
    folder = MaskFolder(tmp_path / "m")
    assert folder.unmatched(["a/x.png"]) == [f"a/{beside.name}"]
    with pytest.raises(UserError, match=rf"the mask .*/{beside.name} cannot be read \(FORMAT"):
        folder.mask("a/y.png")


def test_masks_that_mark_nothing_or_all_around_a_part_are_named(tmp_path):
    mask, edge = disc(64, 64, 30, 30, 20), disc(64, 64, 0, 30, 50)
    made = {"a": mask, "b": ~mask, "c": mask * 0, "d": mask * 0 + 1, "e": edge, "f": ~mask}
    folder = folder_of(tmp_path / "m", **{f"{name}_png": one for name, one in made.items()})
    rows = pd.DataFrame(
        {"path": [f"a/{name}.jpg" for name in [*made, "none"]], "label": [1, 1, 1, 1, 1, 0, 1]}
    )
    found = MaskMatch.of(folder, rows)
    assert (found.files, found.unmatched) == (6, Named(0, []))
    assert found.empty == Named(1, ["a/c.jpg"])
    assert found.inverted == Named(1, ["a/b.jpg"])


def test_images_without_suffix_do_not_share_a_mask(tmp_path):
    """DICOM files are often called by an UID, whose last number is no suffix."""
    left, right = disc(9, 9, 4, 2, 2), disc(9, 9, 4, 6, 2)
    (tmp_path / "m" / "a").mkdir(parents=True)
    for name, mask in (("1.2.840.1", left), ("1.2.840.10", right)):
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "m" / "a" / f"{name}.png")
    folder = MaskFolder(tmp_path / "m")
    assert np.array_equal(folder.mask("a/1.2.840.1"), left)
    assert np.array_equal(folder.mask("a/1.2.840.10"), right)
    assert np.array_equal(folder.mask("a/1.2.840.10.dcm"), right)
    assert folder.mask("a/1.2.840.11") is None
    assert folder.mask("a/1.2.840.1.7") is None


@pytest.mark.parametrize("name", ["b/x.png", "x.png", "a/xx.png", "a/x_left.png"])
def test_a_folder_none_of_whose_masks_belongs_to_an_image_is_refused(
    name, tmp_path, phantoms, manifest, images
):
    (tmp_path / "masks" / name).parent.mkdir(parents=True)
    Image.fromarray(np.ones((9, 9), np.uint8)).save(tmp_path / "masks" / name)
    folder = MaskFolder(tmp_path / "masks")
    rows = manifest.head(2).assign(path=["a/x.jpg", "a/z.jpg"])
    with pytest.raises(UserError, match=f"none of the 1 masks .*: a mask is {name}, an image a/x"):
        build_masks(phantoms, folder, rows, images, CONFIG)


def test_masks_that_differ_in_size_are_refused(tmp_path):
    folder = folder_of(tmp_path / "m", x_mask_png=np.ones((4, 4)), x_mask_1_png=np.ones((5, 4)))
    with pytest.raises(UserError, match=r"the masks of a/x\.png .* differ in size"):
        folder.mask("a/x.png")


WHITE_FIRST = [255, 255, 255, 0, 0, 0]


def written(path, kind, mask):
    inside = mask.astype(np.uint8)
    grey, full = Image.fromarray(inside * 255), Image.new("L", mask.shape[::-1], 255)
    empty = Image.fromarray(np.zeros((*mask.shape, 3), np.uint8))
    empty.putalpha(Image.fromarray(inside * 255))
    palette = Image.fromarray(1 - inside, "P")
    palette.putpalette(WHITE_FIRST)
    wide = inside.astype(np.uint16)
    images = {
        "0 and 1": Image.fromarray(inside),
        "0 and 255": grey,
        "labels": Image.fromarray(inside * (np.arange(mask.shape[1]) % 5 + 1).astype(np.uint8)),
        "16 bit": Image.fromarray(wide * 300),
        "1 bit": Image.fromarray(mask),
        "red": Image.fromarray(np.dstack([inside * 255, inside * 0, inside * 0])),
        "grey, alpha": Image.merge("LA", (grey, full)),
        "RGB, alpha": Image.merge("RGBA", (grey, grey, grey, full)),
        "palette": palette,
        "alpha alone": empty,
    }
    images[kind].save(path)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *[(kind, "png") for kind in ("0 and 1", "0 and 255", "labels", "16 bit", "1 bit", "red")],
        *[(kind, "png") for kind in ("grey, alpha", "RGB, alpha", "palette")],
        *[(kind, "tif") for kind in ("0 and 1", "16 bit", "1 bit", "grey, alpha", "palette")],
        *[(kind, "bmp") for kind in ("0 and 255", "1 bit", "palette")],
    ],
)
def test_every_kind_of_mask_gives_the_same(tmp_path, kind, suffix):
    mask = disc(40, 30, 20, 15, 9)
    written(tmp_path / f"x.{suffix}", kind, mask)
    assert np.array_equal(MaskFolder(tmp_path).mask("x.png"), mask)


def test_transparency_is_no_mask(tmp_path):
    written(tmp_path / "x.png", "alpha alone", disc(40, 30, 20, 15, 9))
    assert not MaskFolder(tmp_path).mask("x.png").any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_polarity_of_a_mask_holds(tmp_path, kind):
    mask = disc(40, 30, 20, 15, 9)
    tiff(tmp_path / "x.tif", np.where(mask, 0, np.iinfo(kind).max).astype(kind), photometric=0)
    assert np.array_equal(MaskFolder(tmp_path).mask("x.png"), mask)


def test_a_jpeg_of_labels_is_refused(tmp_path):
    mask = disc(40, 30, 20, 15, 9)
    Image.fromarray(mask.astype(np.uint8) * 3).save(tmp_path / "x.jpg", quality=100)
    with pytest.raises(UserError, match="save it as PNG"):
        MaskFolder(tmp_path).mask("x.png")


def test_masks_without_a_background_or_a_mark_are_refused(tmp_path, phantoms, manifest, images):
    mask = disc(64, 64, 30, 30, 20)
    gray = folder_of(tmp_path / "gray", x_png=mask * 200 + 10)
    with pytest.raises(UserError, match="none that is 0"):
        gray.mask("a/x.png")
    colors = np.where(mask[..., None], (255, 0, 0), (0, 0, 255))
    with pytest.raises(UserError, match="none that is 0"):
        folder_of(tmp_path / "colors", x_png=colors).mask("a/x.png")
    whole = folder_of(tmp_path / "whole", x_png=np.full((64, 64), 255))
    assert whole.mask("a/x.png").all()
    black = folder_of(tmp_path / "black", x_png=mask * 0)
    rows = manifest.head(1).assign(path="a/x.jpg", label=1)
    with pytest.raises(UserError, match="none of the 1 masks of anomalous images marks a pixel"):
        list(build_masks(phantoms, black, rows, images, CONFIG).images())
    assert len(list(build_masks(phantoms, black, rows.assign(label=0), images, CONFIG).images()))
