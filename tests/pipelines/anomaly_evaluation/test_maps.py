"""Heat maps and pixel-level figures of a detector on a tiny store whose anomalies are squares."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from medgan.errors import UserError
from medgan.evaluation.examples import as_seen, counterparts
from medgan.evaluation.localisation import NO_MASKS
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.scores import Batches
from medgan.images.loading import StoredImages
from medgan.images.masks import INSIDE, UNKNOWN, masks_key
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.losses import residual_map
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scoring import maps, nodes
from medgan.pipelines.anomaly_evaluation.scoring.localisation import NO_TEST_MASKS, localize
from medgan.plots.anomaly_maps import MapScale
from tests.models.tiny import tiny
from tests.pipelines.conftest import COUNT, SIDE, SQUARE, data_of, nothing, trained

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
def data(images, splits):
    return data_of(images, splits, CONFIG)


@pytest.fixture
def scored(published, data):
    return nodes.score(data, trained(published), nothing)


@pytest.fixture
def evaluation(published, scored, data):
    return nodes.evaluate(data, trained(published), scored, None)


def texts(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_three_pictures_for_every_detector(published, scored, masks, data, evaluation):
    confident, closest, drawn, _ = maps.heat_maps(
        data, published, (scored, evaluation), masks, None
    )
    assert "nearest training" in texts(confident)
    assert "Outline: the mask of the anomaly." in texts(confident)
    assert "closest to the threshold" in texts(closest)
    assert "errors drawn at random" in texts(drawn)
    assert f"threshold {evaluation.evaluation.threshold.value:.4g}" in texts(confident)


def test_without_masks_the_pictures_claim_nothing_about_places(published, scored, data, evaluation):
    confident, *_ = maps.heat_maps(data, published, (scored, evaluation), None, None)
    assert "Not a localisation claim: no masks." in texts(confident)
    assert "Outline" not in texts(confident)


def test_kinds_that_do_not_occur_are_named(published, scored, data, evaluation):
    row = evaluation.evaluation
    never = replace(row, threshold=replace(row.threshold, value=1e9))
    results = scored, replace(evaluation, evaluation=never, scores=called(evaluation.scores, 1e9))
    confident, *_ = maps.heat_maps(data, published, results, None, None)
    assert "At this threshold there are no true positives and no false positives." in texts(
        confident
    )


def called(scores, threshold):
    """The table of scores, decided at another threshold."""
    return scores.assign(called=(scores["score"] >= threshold).astype(int))


def test_a_detector_without_counterpart_is_shown_too(scored, data, evaluation):
    model = tiny("mix_vs_normal", data.images.spec)
    other = PublishedModel("mix_vs_normal", {"width": 4}, data.images.spec, model.state_dict(), {})
    confident, *_ = maps.heat_maps(data, other, (scored, evaluation), None, None)
    assert "no counterpart" in texts(confident)


def test_the_scale_does_not_know_the_test_images(published, scored, data, evaluation, monkeypatch):
    scales = []
    for name in ("case_rows", "case_pairs"):
        monkeypatch.setattr(maps, name, lambda _, scale, **__: scales.append(scale))
    test = data.splits.loc[data.splits["split"] == "test", "image_id"].to_numpy(dtype=str)
    arrays = dict(scored.maps)
    brighter = np.where(
        np.isin(arrays["image_id"], test)[:, None, None], arrays["maps"] * 9, arrays["maps"]
    )
    for shown in (arrays, {**arrays, "maps": brighter}):
        maps.heat_maps(data, published, (replace(scored, maps=shown), evaluation), None, None)
    assert len(scales) >= 4
    assert all(isinstance(scale, MapScale) for scale in scales)
    assert len(set(scales)) == 1


def test_pixel_figures_where_masks_are(scored, images, masks, splits, data):
    document = localize(scored.maps, masks, data)
    assert document.metrics["pixel_auroc_anomalous"].value > 0.9
    assert document.metrics["dice"].value > 0.6
    assert document.threshold.labels_used == "threshold"
    assert document.interval_unit == "patient"
    assert document.n_marked == document.n_anomalous == document.per_category["viral"].n_images
    assert document.location_alone["pixel_auroc"].value > 0.9  # every square lies in the same place


def test_no_masks_is_a_row_with_its_reason(scored, data):
    document = localize(scored.maps, None, data)
    assert document.claim == NO_MASKS
    missing = document.metrics.values()
    assert len(missing) > 3
    assert all((one.value, one.reason) == (None, NO_MASKS) for one in missing)


def test_images_whose_mask_is_missing_are_left_out_and_counted(
    tmp_path, scored, images, splits, data
):
    anomalous = splits[(splits["label"] == 1) & (splits["split"] == "test")]
    some = mask_store(tmp_path / "some", images, splits, anomalous["row"].head(3))
    document = localize(scored.maps, some, data)
    assert document.n_marked == len(anomalous) - 3
    assert document.claim.startswith(f"{len(anomalous) - 3} of {len(anomalous)} ")
    none = mask_store(tmp_path / "none", images, splits, anomalous["row"])
    assert localize(scored.maps, none, data).metrics["pixel_auroc"].reason == NO_TEST_MASKS


def test_the_cut_for_dice_does_not_see_the_test_masks(
    tmp_path, scored, images, masks, splits, data
):
    test = splits.loc[splits["split"] == "test", "row"].to_numpy()
    pixels = masks.read(np.arange(COUNT))
    pixels[test] = np.roll(pixels[test], 9, axis=1)
    write_store(tmp_path / "moved", iter(pixels), masks.info)
    moved = ImageStore.open(tmp_path / "moved")
    first, second = (localize(scored.maps, store, data) for store in (masks, moved))
    assert first.threshold == second.threshold
    assert first.metrics["dice"].value > second.metrics["dice"].value


def test_masks_of_other_images_are_refused(tmp_path, scored, images, masks, splits, data):
    write_store(tmp_path / "other", iter(images.read(np.arange(COUNT)) // 2), images.info)
    other = ImageStore.open(tmp_path / "other")
    with pytest.raises(UserError, match="not those of the stored images"):
        localize(scored.maps, masks, data_of(other, splits, CONFIG))


def test_a_search_shows_the_image_that_was_scored(images, splits):
    model = tiny("dcgan", images.spec, search_steps=2).eval()
    rows = np.arange(5)
    together = model.score(
        StoredImages(images)(rows), torch.Generator().manual_seed(3)
    ).anomaly_maps
    padded = tuple(together.shape[2:])
    seen = as_seen(StoredImages(images), rows, padded)
    found = counterparts(model, StoredImages(images), rows, padded, Batches(2, 3))
    wanted = residual_map(torch.from_numpy(seen), torch.from_numpy(found))
    torch.testing.assert_close(wanted, together, rtol=1e-3, atol=1e-4)
    inside = counterparts(model, StoredImages(images), rows, (SIDE, SIDE), Batches(2, 3))
    np.testing.assert_array_equal(inside, found[..., 2:-2, 2:-2])


def test_counterparts_are_kept_until_something_that_decides_them_changes(
    published, scored, masks, data, evaluation, monkeypatch
):
    results = scored, evaluation
    kept = maps.heat_maps(data, published, results, masks, None)[-1]
    assert len(kept["counterparts"]) == len(set(kept["image_id"])) > 4
    monkeypatch.setattr(maps, "counterparts", lambda *_, **__: pytest.fail("searched again"))
    again = maps.heat_maps(data, published, results, masks, kept)[-1]
    assert all(np.array_equal(again[name], kept[name]) for name in kept)
    other = PublishedModel(
        "nearest_neighbour", {}, data.images.spec, {"memory": published.tensors["memory"] * 0.9}, {}
    )
    for changed in ((data, other), (replace(data, seed=1), published)):
        with pytest.raises(pytest.fail.Exception, match="searched again"):
            maps.heat_maps(*changed, results, masks, kept)


def test_only_images_without_a_kept_counterpart_are_searched(published, data, monkeypatch):
    """The others keep theirs, whatever the order; an image's counterpart is its own."""
    splits, asked, make = data.splits, [], maps.counterparts
    whole = maps.with_counterparts(published, data, splits, None)
    some = maps.with_counterparts(published, data, splits.iloc[:5], None)
    monkeypatch.setattr(
        maps,
        "counterparts",
        lambda detector, store, rows, *_, **more: (
            asked.extend(rows) or make(detector, store, rows, *_, **more)
        ),
    )
    grown = maps.with_counterparts(published, data, splits.iloc[3:9], some.kept)
    assert asked == splits["row"].iloc[5:9].tolist()
    np.testing.assert_array_equal(
        grown.held_against(splits.iloc[:9]), whole.held_against(splits.iloc[:9])
    )
