"""Attacks find what was planted, and nothing in independent images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from medgan.audits.attributes import disclosures
from medgan.audits.privacy import Known, alike, attack, check_copies, share
from medgan.audits.release import CopyCheck
from medgan.errors import UserError
from medgan.images.transforms import as_tensor
from tests.metrics.test_copies import pictures


def known(n: int, seed: int, **columns: object) -> Known:
    table = pd.DataFrame({"category": "normal", "group_id": [f"{seed}-{i // 2}" for i in range(n)]})
    return Known(pictures(n, seed), table.assign(**columns))


TRAINING, HELD_OUT = known(120, 0), known(200, 1)


def test_the_check_flags_planted_copies_alone() -> None:
    synthetic = np.concatenate([pictures(95, 2), TRAINING.images[:5, :, ::-1]])
    found = check_copies(synthetic, TRAINING, HELD_OUT, 0)
    assert np.flatnonzero(found.flags).tolist() == list(range(95, 100))
    assert found.result.n_flagged == 5
    assert found.result.rate == share(found.flags)
    assert found.matches.place[95:].tolist() == list(range(5))
    assert found.result.n_held_out + found.result.n_calibration == 200
    assert found.result.n_planted == 120 - 60
    assert all(one.value == 1 for one in found.result.recall.values())
    assert found.result.false_flags.value == 0


def test_the_frozen_check_is_kept_in_plain_arrays() -> None:
    check = check_copies(pictures(5, 2), TRAINING, HELD_OUT, 0).check
    again = CopyCheck.of({name: np.asarray(value) for name, value in check.arrays().items()})
    images = as_tensor(np.concatenate([pictures(3, 4), TRAINING.images[:2]])[..., None])
    assert check.flags(images).tolist() == again.flags(images).tolist() == [False] * 3 + [True] * 2
    assert check.flags(torch.zeros(0, 1, 40, 40)).shape == (0,)


def test_few_held_out_images_search_nothing() -> None:
    with pytest.raises(UserError, match=r"takes 100 held-out images .* there are 99"):
        check_copies(pictures(5, 2), TRAINING, HELD_OUT.at(np.arange(99)), 0)
    alone = Known(HELD_OUT.images, HELD_OUT.table.assign(group_id="one"))
    with pytest.raises(UserError, match="of one patient"):
        check_copies(pictures(5, 2), TRAINING, alone, 0)


def test_the_exact_interval_of_a_share() -> None:
    """Clopper and Pearson: no event in 100 has the upper bound 1 - 0.025 ** (1 / 100)."""
    found = share(np.zeros(100, bool))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - 0.025**0.01)


def test_members_and_others_have_the_same_categories() -> None:
    training = known(30, 0, category=["a"] * 20 + ["b"] * 10)
    held_out = known(18, 1, category=["a"] * 3 + ["b"] * 15)
    members, others = alike(training, held_out, 0)
    assert training.table["category"].iloc[members].tolist() == ["a"] * 3 + ["b"] * 10
    assert held_out.table["category"].iloc[others].tolist() == ["a"] * 3 + ["b"] * 10
    assert len(set(members)) == 13


def test_the_auc_of_an_attack() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 80), rng.normal(0, 1, 80)
    found = attack(members, others, np.arange(160).astype(str), 0, "")
    expected = roc_auc_score([1] * 80 + [0] * 80, [*members, *others])
    assert found.auc.value == pytest.approx(expected)
    assert found.auc.low < expected < found.auc.high
    few = attack(members[:19], others[:19], np.arange(38).astype(str), 0, "")
    assert few.auc.value is None
    assert "fewer than 20" in few.auc.reason


def bright(n: int, seed: int, sex: np.ndarray) -> np.ndarray:
    """Images whose left half is brighter in women."""
    images = pictures(n, seed).astype(int)
    images[:, :, :20] += 60 * (sex == "F")[:, None, None]
    return np.clip(images, 0, 255).astype(np.uint8)


def test_what_every_image_shows_is_not_disclosed() -> None:
    """Sex is seen in any image, so training records are no worse off than others."""
    sexes = [np.random.default_rng(seed).choice(["F", "M"], 240) for seed in range(3)]
    training, held_out = (
        Known(bright(240, seed, sexes[seed]), known(240, seed, sex=sexes[seed]).table)
        for seed in (0, 1)
    )
    found = disclosures(bright(240, 2, sexes[2]), training, held_out, 0)["sex"]
    assert found.held_out.value > 0.7
    assert found.above.low < 0 < found.above.high


def test_what_no_image_shows_and_what_is_not_recorded() -> None:
    rng = np.random.default_rng(3)
    sex = rng.choice(["F", "M"], 240)
    training, held_out = known(240, 0, sex=sex), known(240, 1, sex=sex[::-1])
    found = disclosures(pictures(240, 2), training, held_out, 0)
    assert found["sex"].held_out.low < 0.5 < found["sex"].held_out.high
    assert found["age"].above.value is None
    assert "age is not recorded" in found["age"].above.reason
