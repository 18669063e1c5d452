"""Heat maps and pixel-level figures of a detector on a tiny store whose anomalies are squares."""

import numpy as np
import pytest
import torch

from medgan.errors import UserError
from medgan.evaluation.examples import as_seen, counterparts
from medgan.evaluation.localisation import FIGURES, NO_MASKS
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.loading import StoredImages
from medgan.images.masks import INSIDE, UNKNOWN, masks_key
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scoring import maps, nodes
from medgan.pipelines.anomaly_evaluation.scoring import maps as films
from medgan.plots.anomaly_maps import MapScale
from tests.models.tiny import tiny
from tests.pipelines.conftest import COUNT, SIDE, SQUARE

CONFIG = EvaluationConfig(
    dataset="tiny", n_resamples=100, batch_size=16, heatmap_examples=1, random_errors=4
)


def mask_store(folder, images, splits, unknown=()):
    pixels = np.zeros((COUNT, SIDE, SIDE, 1), dtype=np.uint8)
    for row in splits.loc[splits["label"] == 1, "row"]:
        pixels[(row, *SQUARE)] = INSIDE
    pixels[list(unknown)] = UNKNOWN
    key = masks_key(images.key, [str(len(unknown))])
    write_store(
        folder, iter(pixels), StoreInfo(COUNT, SIDE, SIDE, 1, "unit", ("normal",), source_key=key)
    )
    return ImageStore.open(folder)


@pytest.fixture
def masks(tmp_path, images, splits):
    return mask_store(tmp_path / "masks", images, splits)


@pytest.fixture
def scored(published, images, splits):
    return nodes.score(published, images, splits, CONFIG, 0, None)


@pytest.fixture
def evaluation(published, scored, splits):
    return nodes.evaluate(published, scored[0], splits, CONFIG, 0)[0]


def texts(drawing):
    return "\n".join(text.get_text() for text in drawing.draw().axes[0].texts)


def test_three_pictures_for_every_detector(published, scored, images, masks, splits, evaluation):
    surest, closest, drawn, _ = maps.illustrate(
        published, *scored, images, masks, splits, evaluation, CONFIG, 0, None
    )
    assert "nearest training" in texts(surest)
    assert "Outline: the mask of the anomaly." in texts(surest)
    assert "closest to the threshold" in texts(closest)
    assert "errors drawn at random" in texts(drawn)
    assert f"threshold {evaluation['threshold']['value']:.4g}" in texts(surest)


def test_without_masks_the_pictures_claim_nothing_about_places(
    published, scored, images, splits, evaluation
):
    surest, *_ = maps.illustrate(
        published, *scored, images, None, splits, evaluation, CONFIG, 0, None
    )
    assert "Not a localisation claim: no masks." in texts(surest)
    assert "Outline" not in texts(surest)


def test_kinds_that_do_not_occur_are_named(published, scored, images, splits, evaluation):
    never = {**evaluation, "threshold": {"rule": "x", "value": 1e9}}
    surest, *_ = maps.illustrate(published, *scored, images, None, splits, never, CONFIG, 0, None)
    assert "At this threshold there are no hits and no false alarms." in texts(surest)


def test_a_detector_without_counterpart_is_shown_too(scored, images, splits, evaluation):
    model = tiny("mix_vs_normal", images.spec)
    published = PublishedModel("mix_vs_normal", {"width": 4}, images.spec, model.state_dict(), {})
    surest, *_ = maps.illustrate(
        published, *scored, images, None, splits, evaluation, CONFIG, 0, None
    )
    assert "no counterpart" in texts(surest)


def test_the_scale_does_not_know_the_test_images(
    published, scored, images, splits, evaluation, monkeypatch
):
    scales = []
    monkeypatch.setattr(
        maps,
        "drawing",
        lambda _, cases, scale, **__: scales.append(scale) if isinstance(scale, MapScale) else None,
    )
    scores, arrays = scored
    maps.illustrate(published, scores, arrays, images, None, splits, evaluation, CONFIG, 0, None)
    test = np.isin(
        arrays["image_id"], splits.loc[splits["split"] == "test", "image_id"].to_numpy(dtype=str)
    )
    brighter = {**arrays, "maps": np.where(test[:, None, None], arrays["maps"] * 9, arrays["maps"])}
    maps.illustrate(published, scores, brighter, images, None, splits, evaluation, CONFIG, 0, None)
    assert len(scales) >= 4
    assert len(set(scales)) == 1


def test_pixel_figures_where_masks_are(scored, images, masks, splits):
    document = maps.localize(scored[1], images, masks, splits, CONFIG, 0)
    assert document["pixel_auroc_anomalous"]["value"] > 0.9
    assert document["dice"]["value"] > 0.6
    assert document["threshold"]["labels_used"] == "threshold"
    assert document["interval_unit"] == "patient"
    assert (
        document["n_marked"]
        == document["n_anomalous"]
        == document["per_category"]["viral"]["n_images"]
    )
    assert (
        document["location_alone"]["pixel_auroc"]["value"] > 0.9
    )  # every square lies in the same place


def test_no_masks_is_a_row_with_its_reason(scored, images, splits):
    document = maps.localize(scored[1], images, None, splits, CONFIG, 0)
    assert document["claim"] == NO_MASKS
    assert all(document[name] == {"value": None, "reason": NO_MASKS} for name in FIGURES)


def test_images_whose_mask_is_missing_are_left_out_and_counted(tmp_path, scored, images, splits):
    anomalous = splits[(splits["label"] == 1) & (splits["split"] == "test")]
    some = mask_store(tmp_path / "some", images, splits, anomalous["row"].head(3))
    document = maps.localize(scored[1], images, some, splits, CONFIG, 0)
    assert document["n_marked"] == len(anomalous) - 3
    assert document["claim"].startswith(f"{len(anomalous) - 3} of {len(anomalous)} ")
    none = mask_store(tmp_path / "none", images, splits, anomalous["row"])
    assert (
        maps.localize(scored[1], images, none, splits, CONFIG, 0)["pixel_auroc"]["reason"]
        == maps.NO_TEST_MASKS
    )


def test_the_cut_for_dice_does_not_see_the_test_masks(tmp_path, scored, images, masks, splits):
    test = splits.loc[splits["split"] == "test", "row"].to_numpy()
    pixels = masks.read(np.arange(COUNT))
    pixels[test] = np.roll(pixels[test], 9, axis=1)
    write_store(tmp_path / "moved", iter(pixels), masks.info)
    moved = ImageStore.open(tmp_path / "moved")
    first, second = (
        maps.localize(scored[1], images, store, splits, CONFIG, 0) for store in (masks, moved)
    )
    assert first["threshold"] == second["threshold"]
    assert first["dice"]["value"] > second["dice"]["value"]


def test_masks_of_other_images_are_refused(tmp_path, scored, images, masks, splits):
    write_store(tmp_path / "other", iter(images.read(np.arange(COUNT)) // 2), images.info)
    other = ImageStore.open(tmp_path / "other")
    with pytest.raises(UserError, match="not those of the stored images"):
        maps.localize(scored[1], other, masks, splits, CONFIG, 0)


def test_a_search_shows_the_image_that_was_scored(images, splits):
    model = tiny("dcgan", images.spec, search_steps=2).eval()
    rows = np.arange(5)
    together = model.score(
        StoredImages(images)(rows), torch.Generator().manual_seed(3)
    ).anomaly_maps
    seen = as_seen(StoredImages(images), rows, (SIDE, SIDE))
    found = counterparts(
        model, StoredImages(images), rows, (SIDE, SIDE), batch_size=2, seed=3, device="cpu"
    )
    np.testing.assert_allclose(
        np.abs(seen - found).mean(1), together[:, 0, 2:-2, 2:-2].numpy(), rtol=1e-3, atol=1e-4
    )


def test_counterparts_are_kept_until_something_that_decides_them_changes(
    published, scored, images, masks, splits, evaluation, monkeypatch
):
    *_, kept = maps.illustrate(
        published, *scored, images, masks, splits, evaluation, CONFIG, 0, None
    )
    assert len(kept["counterparts"]) == len(set(kept["image_id"])) > 4
    monkeypatch.setattr(films, "counterparts", lambda *_, **__: pytest.fail("searched again"))
    *_, again = maps.illustrate(
        published, *scored, images, masks, splits, evaluation, CONFIG, 0, kept
    )
    assert all(np.array_equal(again[name], kept[name]) for name in kept)
    other = PublishedModel(
        "nearest_neighbour", {}, images.spec, {"memory": published.tensors["memory"] * 0.9}, {}
    )
    for changed in (
        (other, *scored, images, masks, splits, evaluation, CONFIG, 0),
        (published, *scored, images, masks, splits, evaluation, CONFIG, 1),
    ):
        with pytest.raises(pytest.fail.Exception, match="searched again"):
            maps.illustrate(*changed, kept)


def test_only_images_without_a_kept_counterpart_are_searched(
    published, images, splits, monkeypatch
):
    """The others keep theirs, whatever the order; an image's counterpart is its own."""
    whole = films.films(published, images, splits, 16, 0, None)
    some = films.films(published, images, splits.iloc[:5], 16, 0, None)
    asked, make = [], films.counterparts
    monkeypatch.setattr(
        films,
        "counterparts",
        lambda detector, store, rows, *_, **more: (
            asked.extend(rows) or make(detector, store, rows, *_, **more)
        ),
    )
    grown = films.films(published, images, splits.iloc[3:9], 16, 0, some.kept)
    assert asked == splits["row"].iloc[5:9].tolist()
    np.testing.assert_array_equal(
        grown.held_against(splits.iloc[:9]), whole.held_against(splits.iloc[:9])
    )
