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
from medgan.pipelines.preprocessing.nodes import build_masks
from medgan.sources.phantoms import PhantomSource

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
