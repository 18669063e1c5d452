from __future__ import annotations

import pandas as pd

from medgan.images.duplicates import differences, select_groups


def test_copies_that_differ_in_most_come_first(manifest: pd.DataFrame) -> None:
    manifest.loc[[20, 21], "pixel_hash"] = "same patient"
    manifest.loc[[20, 21], ["group_id", "category"]] = ["p", "viral"]
    groups = select_groups(manifest, 3)
    assert (groups.count, groups.surplus, len(groups.shown)) == (4, 4, 3)
    assert [len(differences(group)) for group in groups.shown] == sorted(
        [len(differences(group)) for group in groups.shown], reverse=True
    )
    assert "patient" in differences(groups.shown[0])
    assert not differences(select_groups(manifest, 4).shown[-1])


def test_no_copies_are_no_groups(manifest: pd.DataFrame) -> None:
    assert select_groups(manifest.drop_duplicates("pixel_hash"), 5).count == 0
