from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.images import duplicate_calibration
from medgan.images import near_duplicates as module
from medgan.images.duplicate_calibration import make_twin
from medgan.images.hashing import descriptor_side, detail
from medgan.images.near_duplicates import NearDuplicates, find_near_duplicates, owners
from medgan.sources.arrays import NpzSource
from medgan.sources.listing import find_images
from medgan.sources.readers.decoding import read_picture
from tests.images.planting import Pictures, described, phantoms

FILMS = 60


def ids(found: NearDuplicates) -> set[frozenset[str]]:
    return {
        frozenset(pair) for pair in found.pairs[["image_id_a", "image_id_b"]].to_numpy().tolist()
    }


def with_twins(
    films: dict[str, np.ndarray], every: int = 1, seed: int = 9
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return films | {
        f"twin of {name}": make_twin(film, rng) for name, film in list(films.items())[::every]
    }


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fewer twins of small data sets."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(duplicate_calibration, "TWINS", 200)
        yield


@pytest.fixture(scope="module")
def planted() -> Pictures:
    return Pictures(with_twins(phantoms(FILMS), every=3))


@pytest.fixture(scope="module")
def found(planted: Pictures) -> NearDuplicates:
    return find_near_duplicates(planted, described(planted), seed=0)


def test_planted_twins_are_found_and_nothing_else(found: NearDuplicates) -> None:
    true = {
        frozenset({f"film-{number}", f"twin of film-{number}"}) for number in range(0, FILMS, 3)
    }
    assert ids(found) <= true
    assert len(ids(found)) >= 0.9 * len(true)
    assert tuple(found.pairs.columns) == module.COLUMNS
    assert set(found.pairs["patients"]) == {"different"}
    assert not found.pairs["exact"].any()
    assert (
        found.pairs["correlation"]
        .between(found.summary["calibration"]["threshold"] - 1e-4, 1.0)
        .all()
    )
    assert found.pairs["correlation"].is_monotonic_decreasing


def test_the_summary_is_json_and_tells_how_it_was_searched(found: NearDuplicates) -> None:
    assert json.loads(json.dumps(found.summary)) == found.summary
    assert found.summary["pairs"] == found.summary["verified"] == len(found.pairs)
    assert found.summary["candidates"] >= found.summary["verified"]
    calibration = found.summary["calibration"]
    assert calibration["twin_recall"] > 0.9
    assert calibration["expected_false_pairs"] <= 0.1 + 1e-9
    assert f"within {calibration['radius']} of 256 bits" in found.summary["statement"]


def test_the_same_seed_gives_the_same_pairs_in_any_order_of_reading(
    found: NearDuplicates, planted: Pictures
) -> None:
    again = find_near_duplicates(planted, described(planted), seed=0)
    pd.testing.assert_frame_equal(again.pairs, found.pairs)
    assert again.summary == found.summary


def test_few_descriptors_in_memory_give_the_same_pairs(
    found: NearDuplicates, planted: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 3)
    pd.testing.assert_frame_equal(
        find_near_duplicates(planted, described(planted), seed=0).pairs, found.pairs
    )


def test_images_of_one_patient_or_volume_are_alike_by_nature(planted: Pictures) -> None:
    same = described(planted, {name: name.removeprefix("twin of ") for name in planted.pictures})
    assert find_near_duplicates(planted, same, seed=0).pairs.empty
    volumes = described(planted, dict.fromkeys(planted.pictures)).assign(
        volume=[
            name.removeprefix("twin of ") if name.startswith(("film-0", "twin of film-0")) else None
            for name in planted.pictures
        ]
    )
    assert frozenset({"film-0", "twin of film-0"}) not in ids(
        find_near_duplicates(planted, volumes, seed=0)
    )


def test_owners_are_patients_then_volumes_then_pictures() -> None:
    table = pd.DataFrame(
        {
            "group_id": ["p", "p", "h1", "h2", "h3", "h3"],
            "group_known": [True, True, False, False, False, False],
            "volume": ["v", None, "v", "v", None, None],
            "pixel_hash": ["h4", "h5", "h1", "h2", "h3", "h3"],
        }
    )
    assert owners(table).tolist() == [0, 0, 1, 1, 2, 2]
    assert owners(table.drop(columns="volume")).tolist() == [0, 0, 1, 2, 3, 3]


def test_unknown_patients_and_exact_copies() -> None:
    films = phantoms(30)
    pictures = films | {
        "copy": films["film-3"],
        "another copy": films["film-3"],
        "copy of 7": films["film-7"],
    }
    source = Pictures(with_twins(pictures, every=11))
    table = described(source, dict.fromkeys(source.pictures))
    found = find_near_duplicates(source, table, seed=1)
    exact = {
        frozenset(pair)
        for pair in found.pairs.loc[found.pairs["exact"], ["image_id_a", "image_id_b"]]
        .to_numpy()
        .tolist()
    }
    assert exact == {
        frozenset({"film-3", "copy"}),
        frozenset({"film-3", "another copy"}),
        frozenset({"film-7", "copy of 7"}),
    }
    assert set(found.pairs["patients"]) == {"unknown"}
    assert frozenset({"film-0", "twin of film-0"}) in ids(found)


def test_a_copy_of_another_patient_is_exact_and_known() -> None:
    films = phantoms(20)
    source = Pictures(films | {"stolen": films["film-5"]})
    row = find_near_duplicates(source, described(source), seed=0).pairs.iloc[0]
    assert {row["image_id_a"], row["image_id_b"]} == {"film-5", "stolen"}
    assert (row["distance"], row["patients"], bool(row["exact"])) == (0, "different", True)


@pytest.mark.parametrize("size", [28, 96])
def test_twenty_images_are_enough(size: int) -> None:
    films = {
        name: film if size == 96 else film[:56:2, :56:2] for name, film in phantoms(20).items()
    }
    bright = np.clip(films["film-4"].astype(int) + 20, 0, 255).astype(np.uint8)
    source = Pictures(films | {"brighter": bright})
    found = find_near_duplicates(source, described(source), seed=0)
    assert ids(found) == {frozenset({"film-4", "brighter"})}


def test_one_patient_has_nothing_to_search_and_two_pictures_can_be_compared() -> None:
    films = phantoms(12)
    source = Pictures({"a": films["film-0"], "b": films["film-1"]})
    found = find_near_duplicates(source, described(source, {"a": "p", "b": "p"}), seed=0)
    assert found.pairs.empty
    assert found.summary["calibration"] is None
    assert found.pairs.dtypes["distance"] == np.int64
    twins = Pictures(
        {
            "a": films["film-0"],
            "b": np.clip(films["film-0"].astype(int) + 10, 0, 255).astype(np.uint8),
        }
    )
    assert len(find_near_duplicates(twins, described(twins), seed=0).pairs) == 1


def test_too_many_candidates_are_limited_and_the_summary_says_so(
    planted: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANDIDATES", 5)
    found = find_near_duplicates(planted, described(planted), seed=0)
    assert found.summary["candidates"] <= 5
    assert found.summary["calibration"]["radius"] < found.summary["calibration"]["radius_wanted"]
    assert "not found" in found.summary["statement"]


def test_only_candidates_and_the_sample_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_calibration, "SAMPLE", 15)
    films = phantoms(200, 64)
    source = Pictures(films | {"darker": (films["film-9"] * 0.8).astype(np.uint8)})
    table = described(source)
    source.read_paths.clear()
    found = find_near_duplicates(source, table, seed=0)
    assert frozenset({"film-9", "darker"}) in ids(found)
    assert len(source.read_paths) < 150


def test_a_manifest_without_hashes_and_a_lost_image_are_refused(planted: Pictures) -> None:
    table = described(planted)
    with pytest.raises(UserError, match=r"no perceptual hashes.*kedro run --pipeline ingestion"):
        find_near_duplicates(planted, table.drop(columns="perceptual_hash"), seed=0)
    lost = Pictures({name: film for name, film in planted.pictures.items() if name != "film-1"})
    with pytest.raises(UserError, match="film-1 was readable at ingestion and is not any more"):
        find_near_duplicates(lost, table, seed=0)


def test_the_detail_of_a_picture_ignores_its_exposure() -> None:
    film = next(iter(phantoms(12).values()))
    darker = np.rint(film * 0.7 + 10).astype(np.uint8)
    assert detail(film, 128) @ detail(darker, 128) > 0.99
    assert not detail(np.full((50, 50, 3), 9, dtype=np.uint8), 64).any()
    assert [descriptor_side([side] * 3) for side in (4, 28, 64, 2000)] == [16, 56, 128, 128]


def test_pneumoniamnist_has_exact_copies_and_no_others(real_data: Callable[[str], Path]) -> None:
    images = NpzSource(str(real_data("pneumoniamnist") / "pneumoniamnist.npz")).open()
    source = Pictures({path: images.read(path).pixels for path in images.rows()["path"]})
    found = find_near_duplicates(source, described(source, dict.fromkeys(source.pictures)), seed=0)
    assert found.summary["exact"] == len(found.pairs) == 29


def test_chest_xray_twins_are_found_and_other_patients_left_alone(
    real_data: Callable[[str], Path],
) -> None:
    """600 twins, each of a patient of its own, in the whole data set."""
    root = real_data("chest_xray")
    films = {path: read_picture(root / path).pixels for path in find_images(root).images}
    rng = np.random.default_rng(4)
    chosen = [str(name) for name in rng.choice(sorted(films), 600, replace=False)]
    source = Pictures(films | {f"twin of {name}": make_twin(films[name], rng) for name in chosen})
    table = described(source, {name: film_owner(name) for name in films})
    found = find_near_duplicates(source, table, seed=0)
    content = dict(zip(table["image_id"], table["pixel_hash"], strict=True))
    pairs = [
        tuple(sorted(map(content.__getitem__, pair)))
        for pair in found.pairs[["image_id_a", "image_id_b"]].to_numpy().tolist()
    ]
    true = [tuple(sorted((content[name], content[f"twin of {name}"]))) for name in chosen]
    assert np.mean([pair in set(pairs) for pair in true]) >= 0.99
    assert len(set(pairs) - set(true)) <= 20


def film_owner(path: str) -> str:
    stem = path.rsplit("/", 1)[1]
    return "_".join(stem.split("_")[:2]) if stem.startswith("person") else stem.rsplit("-", 1)[0]


def test_hashes_of_another_version_are_refused(planted: Pictures) -> None:
    stale = described(planted).assign(
        perceptual_hash=[f"{number:064x}" for number in range(len(planted.rows()))]
    )
    with pytest.raises(
        UserError, match=r"does not have the perceptual hash.*delete image_facts\.sqlite"
    ):
        find_near_duplicates(planted, stale, seed=0)


def test_a_search_that_misses_its_own_twins_says_so(found: NearDuplicates) -> None:
    assert ("does not rule near-duplicates out" in found.summary["statement"]) == (
        found.summary["calibration"]["twin_recall"] < module.RELIABLE
    )
