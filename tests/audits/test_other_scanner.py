"""Validation images as another scanner might have made them."""

import numpy as np
import pandas as pd

from medgan.audits.other_scanner import NOT_SCORED, perturbed_auroc, rescanned

ROWS = np.array([4, 9, 11, 30])
RAMP = np.linspace(40, 200, 32)
IMAGES = np.stack(
    [
        np.broadcast_to(RAMP[:, None, None], (32, 32, 3)),
        np.broadcast_to(RAMP[None, :, None], (32, 32, 3)),
        np.full((32, 32, 3), 128),
        np.random.default_rng(0).integers(0, 256, (32, 32, 3)),
    ]
).astype(np.uint8)


def test_an_image_is_changed_by_its_row_alone():
    changed = rescanned(IMAGES, ROWS)
    assert changed.dtype == np.uint8
    assert changed.shape == IMAGES.shape
    assert np.array_equal(rescanned(IMAGES[2:3], ROWS[2:3])[0], changed[2])
    assert not np.array_equal(rescanned(IMAGES[2:3], ROWS[:1])[0], changed[2])
    assert all((one != other).mean() > 0.5 for one, other in zip(changed, IMAGES, strict=True))
    assert rescanned(IMAGES[:0], ROWS[:0]).shape == (0, 32, 32, 3)


def test_the_draws_are_gamma_shading_and_shift_within_their_limits():
    gray = np.full((300, 32, 32, 1), 128, dtype=np.uint8)
    changed = rescanned(gray, np.arange(300)).astype(float)[..., 0]
    middle = changed[:, 15:17, 15:17].mean((1, 2))  # where shading is near 0
    darkest, brightest = (255 * (128 / 255) ** gamma for gamma in (1.5, 1 / 1.5))
    assert darkest - 3 < middle.min() < darkest + 10
    assert brightest - 10 < middle.max() < brightest + 3
    across = changed[:, :, -1].mean(1) - changed[:, :, 0].mean(1)
    assert 35 < np.abs(across).max() < 52
    assert abs(across.mean()) < 5
    steps = np.diff(changed, axis=2)
    assert np.abs(steps).max() <= 5, "low frequencies alone"
    dot = np.zeros((200, 41, 41, 1), dtype=np.uint8)
    dot[:, 19:22, 19:22] = 255
    moved = rescanned(dot, np.arange(200))[..., 0] > 120
    places = np.array([np.argwhere(one).mean(0) for one in moved if one.any()])
    assert 1.0 < np.abs(places - 20).max() < 2.6


def test_colours_are_changed_alike():
    changed = rescanned(IMAGES[:3], ROWS[:3])
    assert (changed[..., :1] == changed).all()


def test_the_auroc_is_of_the_validation_images_and_a_reason_stays_one():
    count = 60
    label = np.arange(count) % 2
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "group_id": [f"p{number}" for number in range(count)],
            "group_known": True,
            "split": np.where(np.arange(count) < 40, "val", "test"),
            "label": label,
            "category": "any",
        }
    )
    names = splits.loc[splits["split"] == "val", "image_id"].to_numpy(dtype=str)
    arrays = {"image_id": names, "scores": label[:40] + 0.5, "reason": np.array("")}
    assert perturbed_auroc(arrays, splits, "mean", 50).value == 1.0
    turned = arrays | {"scores": -arrays["scores"]}
    assert perturbed_auroc(turned, splits, "mean", 50).value == 0.0
    slow = arrays | {"reason": np.array("too slow"), "scores": np.zeros(0)}
    assert perturbed_auroc(slow, splits, "mean", 50).reason == "too slow"
    assert perturbed_auroc(None, splits, "mean", 50).reason == NOT_SCORED
    without = perturbed_auroc(arrays, splits.assign(label=0), "mean", 50)
    assert without.value is None
    assert without.reason
