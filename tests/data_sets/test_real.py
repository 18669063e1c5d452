"""The real data sets that are at hand, through their environments. Skipped where they are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medgan.sources.table import OWN_TABLE
from tests.data_sets.environments import opened, parameters, rows


def test_ham10000_has_its_classes_lesions_sexes_and_ages(real_data: Callable[[str], Path]) -> None:
    used, left_out = rows("ham10000", real_data("ham10000"))
    assert len(used) == 2227
    assert left_out["excluded"].to_dict() == {"metadata.csv": OWN_TABLE}
    counts = used["category_raw"].value_counts()
    assert counts.index.isin(list(parameters("ham10000")["ingestion"].labels)).all()
    assert counts.to_dict() == {
        "nv": 1000,
        "mel": 320,
        "bkl": 320,
        "bcc": 264,
        "akiec": 183,
        "vasc": 80,
        "df": 60,
    }
    assert used["group_id"].nunique() == 2227
    assert used["sex"].fillna("unknown").value_counts().to_dict() == {
        "M": 1254,
        "F": 963,
        "unknown": 10,
    }
    assert used["age"].notna().sum() == 2219
    assert opened("ham10000", real_data("ham10000")).read(used["path"].iloc[0]).pixels.shape == (
        128,
        128,
        3,
    )


def test_chest_xray_keeps_5840_images_and_its_patients(real_data: Callable[[str], Path]) -> None:
    used, left_out = rows("chest_xray", real_data("chest_xray"))
    assert (len(used), len(left_out)) == (5840, 0)
    assert used["category_raw"].value_counts().to_dict() == {
        "bacteria": 2772,
        "NORMAL": 1575,
        "virus": 1493,
    }
    patients = used.groupby("split")["group_id"].unique()
    assert not set(patients["train"]) & set(patients["test"])
