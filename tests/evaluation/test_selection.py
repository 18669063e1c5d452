"""Model choice on validation: which images, which figure, and that AUCp reads no anomaly label."""

import numpy as np
import pandas as pd
import pytest

from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.evaluation.selection import HeldOut, choose_criterion
from medgan.stats.pooling import standard_error

MIX = TrainingSet.MIX


@pytest.fixture
def splits() -> pd.DataFrame:
    number = np.arange(4000)
    label = (number // 4 % 5 < 2).astype(int)
    return pd.DataFrame(
        {
            "row": number[::-1],
            "group_id": [f"p{n // 4}" for n in number],
            "label": label,
            "split": np.where(number < 2000, "train", np.where(number < 3200, "val", "test")),
            "role": np.where((number < 2000) & (number % 2 == 0), "mix", None),
        }
    )


def test_only_validation_is_held_out_and_no_patient_is_on_both_sides(splits: pd.DataFrame) -> None:
    held_out = HeldOut.of(splits, 10_000, seed=0)
    validation = splits[splits["split"] == "val"].set_index("row")
    assert set(held_out.rows) == set(validation.index)
    owners = validation["group_id"].loc[held_out.rows].to_numpy()
    assert not set(owners[held_out.known_normal]) & set(owners[held_out.unlabelled])
    assert not held_out.anomalous[held_out.known_normal].any()
    assert 0.4 < held_out.unlabelled.mean() < 0.6


def test_aucp_reads_no_label_of_an_anomalous_image(splits: pd.DataFrame) -> None:
    held_out = HeldOut.of(splits, 10_000, seed=0)
    scores = np.random.default_rng(0).normal(size=len(held_out.rows)).astype(np.float32)
    blind = HeldOut(
        held_out.rows, np.zeros_like(held_out.anomalous), held_out.known_normal, held_out.unlabelled
    )
    seen = held_out.metrics(scores)
    assert blind.metrics(scores).keys() == {"aucp"}
    assert blind.metrics(scores)["aucp"].area == seen["aucp"].area


def test_aucp_is_half_the_normal_share_plus_the_rest_of_the_auc(splits: pd.DataFrame) -> None:
    held_out = HeldOut.of(splits, 10_000, seed=1)
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.7, 1.5):
        scores = (rng.normal(size=len(held_out.rows)) + shift * held_out.anomalous).astype(
            np.float32
        )
        figures = held_out.metrics(scores)
        normal_share = 1 - held_out.anomalous[held_out.unlabelled].mean()
        assert figures["aucp"].area == pytest.approx(
            normal_share / 2 + (1 - normal_share) * figures["val_auroc"].area, abs=0.04
        )


def test_the_standard_error_is_the_spread_over_samples() -> None:
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(2000):
        low, high = rng.normal(size=20), rng.normal(size=40) + 1.0
        areas.append((high[:, None] > low[None]).mean())
    assert standard_error(float(np.mean(areas)), 40, 20) == pytest.approx(np.std(areas), rel=0.1)


def test_a_limit_takes_part_of_the_patients(splits: pd.DataFrame) -> None:
    held_out = HeldOut.of(splits, 100, seed=0)
    assert len(held_out.rows) == 100
    assert held_out.about()["validation_images"] == 100
    assert 30 < held_out.unlabelled.sum() < 70


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_the_held_out_mix_is_as_contaminated_as_that_of_the_training(
    splits: pd.DataFrame, share: float
) -> None:
    mix = splits.index[splits["role"] == "mix"]
    normal, anomalous = (mix[splits.loc[mix, "label"] == label] for label in (0, 1))
    count = round(len(normal) * share / (1 - share))
    splits.loc[anomalous[count:], "role"] = None
    held_out = HeldOut.of(splits, 10_000, seed=0)
    assert held_out.anomalous[held_out.unlabelled].mean() == pytest.approx(share, abs=0.01)
    assert (held_out.unlabelled & ~held_out.anomalous).sum() > 300


def test_the_criterion_uses_no_more_than_the_training(splits: pd.DataFrame) -> None:
    assert choose_criterion("auto", splits, MIX) == "aucp"
    assert choose_criterion("auto", splits, TrainingSet.NORMAL) is None
    assert choose_criterion("auto", splits, TrainingSet.LABELLED) is None
    normals = splits["role"].where(splits["label"] == 0, None)
    assert choose_criterion("auto", splits.assign(role=normals), MIX) is None


def test_the_criterion_follows_what_the_data_has(splits: pd.DataFrame) -> None:
    no_mix, no_anomalies = (
        splits.assign(role=None),
        splits.assign(label=splits["label"].where(splits["split"] != "val", 0)),
    )
    assert choose_criterion("auto", no_mix, MIX) is None
    assert choose_criterion("auto", no_anomalies, MIX) is None
    assert choose_criterion("last", splits, MIX) is None
    assert choose_criterion("val_auroc", splits, MIX) == "val_auroc"
    assert choose_criterion("aucp", splits, TrainingSet.NORMAL) == "aucp"
    with pytest.raises(UserError, match=r"aucp.*unlabelled mix"):
        choose_criterion("aucp", no_mix, MIX)
    with pytest.raises(UserError, match="val_auroc"):
        choose_criterion("val_auroc", no_anomalies, MIX)
