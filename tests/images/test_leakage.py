from __future__ import annotations

import json

import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.files.documents import from_json, to_json
from medgan.images.config import PreprocessingConfig
from medgan.images.leakage import ON_LEAK, LeakageAudit, enforce, leakage_audit
from medgan.images.splits import split_by_patient

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


@pytest.fixture
def splits(manifest: pd.DataFrame) -> pd.DataFrame:
    return split_by_patient(manifest, FRACTIONS, 0)


def moved(splits: pd.DataFrame, key: str) -> pd.DataFrame:
    """The split with one image of a training patient (or one copy of a training picture) moved to
    test.
    """
    train = splits[splits["split"] == "train"]
    value = train[key].value_counts().index[0]
    leaky = splits.copy()
    leaky.loc[train.index[train[key] == value][0], "split"] = "test"
    return leaky


def test_a_split_by_patient_passes_and_its_duplicates_are_reported(splits: pd.DataFrame) -> None:
    audit = leakage_audit(splits)
    assert audit.verdict == "no leak"
    assert audit.duplicates.groups == audit.duplicates.surplus_copies == 3
    assert ["image-10", "image-100"] in audit.duplicates.crossing_patients
    document = json.loads(json.dumps(to_json(audit)))
    assert document == to_json(audit)
    assert from_json(LeakageAudit, document) == audit
    assert enforce(audit, "fail", splits) is splits


@pytest.mark.parametrize(("key", "kind"), [("group_id", "patients"), ("pixel_hash", "pixels")])
def test_a_planted_leak_ends_the_run_with_an_example(
    splits: pd.DataFrame, key: str, kind: str
) -> None:
    leaky = moved(splits, key)
    audit = leakage_audit(leaky)
    assert audit.verdict == "leak"
    assert audit.shared[kind].count == 1
    with pytest.raises(
        UserError,
        match=r"more than one part of the split, for example image-\d+ \(t.*image-\d+ \(t.*drop_from_train",
    ):
        enforce(audit, "fail", leaky)


@pytest.mark.parametrize("key", ["group_id", "pixel_hash"])
def test_leaking_training_images_can_be_dropped(splits: pd.DataFrame, key: str) -> None:
    leaky = moved(splits, key)
    kept = enforce(leakage_audit(leaky), "drop_from_train", leaky)
    assert leakage_audit(kept).verdict == "no leak"
    assert set(kept.loc[kept["split"] == "test", "image_id"]) == set(
        leaky.loc[leaky["split"] == "test", "image_id"]
    )
    assert len(kept) < len(leaky)
    assert (
        kept["row"] == leaky.set_index("image_id").loc[kept["image_id"], "row"].to_numpy()
    ).all(), "rows still point into the store"


def test_a_leak_can_be_reported_only(splits: pd.DataFrame) -> None:
    leaky = moved(splits, "group_id")
    assert enforce(leakage_audit(leaky), "report", leaky) is leaky


def test_unknown_patients_are_not_called_clean(splits: pd.DataFrame) -> None:
    unknown = splits.assign(group_id=splits["pixel_hash"], group_known=False)
    audit = leakage_audit(unknown)
    assert "unknown" in audit.verdict
    assert audit.images_without_patient == 600


def test_the_official_folders_are_audited_even_if_unused(splits: pd.DataFrame) -> None:
    audit = leakage_audit(splits.assign(official_split=["train", "test"] * 300))
    assert audit.verdict == "no leak"
    assert audit.official_folders["patients"].count > 50
    assert leakage_audit(splits).official_folders is None


def test_configuration_and_policies_name_the_same_policies() -> None:
    for name in ON_LEAK:
        assert PreprocessingConfig(on_leak=name).on_leak == name
    with pytest.raises(UserError, match="fail, drop_from_train, report"):
        PreprocessingConfig(on_leak="ignore")


def paired(splits: pd.DataFrame, parts: tuple[str, str], exact: bool = False) -> pd.DataFrame:
    """A pair of near-duplicates of different patients, one in each part."""
    ends = [
        splits.loc[splits["split"] == part, "image_id"].iloc[at] for at, part in enumerate(parts)
    ]
    return pd.DataFrame(
        {
            "image_id_a": ends[:1],
            "image_id_b": ends[1:],
            "exact": exact,
            "distance": 3,
            "correlation": 0.98765,
            "patients": "different",
        }
    )


def test_near_duplicates_in_two_parts_are_a_leak_with_its_places(splits: pd.DataFrame) -> None:
    pairs = paired(splits, ("train", "val"))
    audit = leakage_audit(splits, pairs, {"exact": 3, "candidates": 9})
    leak = audit.shared["near_duplicates"]
    assert (audit.verdict, leak.count, leak.images) == ("leak", 1, 2)
    assert leak.examples[0] == {
        "image_ids": {"train": pairs["image_id_a"][0], "val": pairs["image_id_b"][0]},
        "distance": 3,
        "correlation": 0.9877,
        "patients": "different",
    }
    search = audit.near_duplicates
    assert search is not None
    assert (search.pairs, search.exact, search.candidates) == (1, 3, 9)
    for harmless in (paired(splits, ("val", "val")), paired(splits, ("train", "val"), exact=True)):
        assert leakage_audit(splits, harmless).verdict == "no leak"


@pytest.mark.parametrize(
    ("parts", "lost"), [(("train", "val"), 0), (("val", "test"), 0), (("test", "train"), 1)]
)
def test_of_a_pair_that_leaks_the_end_of_the_less_protected_part_is_dropped(
    splits: pd.DataFrame, parts: tuple[str, str], lost: int
) -> None:
    pairs = paired(splits, parts)
    kept = enforce(leakage_audit(splits, pairs), "drop_from_train", splits, pairs)
    ends = [pairs["image_id_a"][0], pairs["image_id_b"][0]]
    assert kept["image_id"].isin(ends).sum() == 1
    assert ends[lost] not in set(kept["image_id"])
    assert leakage_audit(kept, pairs).verdict == "no leak"
    assert kept.index.tolist() == list(range(len(kept)))
    protected = splits.loc[splits["split"] == "test", "image_id"]
    assert set(protected) <= set(kept["image_id"])


@pytest.mark.parametrize("part", ["val", "test", "train"])
def test_synthetic_images_are_counted_where_they_are_judged(
    splits: pd.DataFrame, part: str
) -> None:
    chosen = splits.index[splits["split"] == part][:7]
    made = splits.assign(provenance="real")
    made.loc[chosen, "provenance"] = "acgan"
    audit = leakage_audit(made)
    if part == "train":
        assert (audit.verdict, audit.synthetic.count) == ("no leak", 0)
        return
    assert (audit.verdict, audit.synthetic.count, audit.synthetic.images) == ("leak", 7, 7)
    assert len(audit.synthetic.examples) == 5
    first = str(made.loc[chosen[0], "image_id"])
    assert audit.synthetic.examples[0] == {"image_ids": {part: first}, "provenance": "acgan"}


def test_an_example_has_one_image_of_each_part(splits: pd.DataFrame) -> None:
    leaky = moved(splits, "group_id")
    (example,) = leakage_audit(leaky).shared["patients"].examples
    assert set(example["image_ids"]) == {"train", "test"}
