from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medgan.errors import UserError
from medgan.experiments.collect import collect
from medgan.experiments.comparisons import chosen_on_validation, gains
from medgan.experiments.detector_tables import detectors
from medgan.experiments.figures import figures
from medgan.experiments.plan import REAL_SHARE, Aim, Experiment, Published, Variant
from medgan.experiments.publish import page, publish
from medgan.experiments.records import read_records
from medgan.experiments.tables import last_steps, reading
from medgan.stats.bootstrap import Estimate
from tests.conftest import ROOT
from tests.experiments.making import arm, detector, record, shortcuts, validation

MIX = "preprocessing.contamination"
EXPERIMENT = Experiment(
    "films",
    seeds=(0, 1),
    models=("nearest_neighbour", "bigan", "fanogan", "healthygan"),
    variants={"healthygan-mix00": Variant("healthygan", {MIX: 0.0}, seeds=(0,))},
    tried={"bigan-wide": Variant("bigan", {"bigan.model.width": 64}, seeds=(10,))},
    aims={"normals": Aim(0.99, "Too few steps."), "mix": Aim(0.5)},
    published=(Published("somebody", "AUROC .8", "another | protocol", "a paper"),),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of three detectors, of whom bigan is the best and fanogan is missing."""
    folder = tmp_path_factory.mktemp("records")
    for seed in (0, 1):
        record(folder, "pneumoniamnist", "nearest_neighbour", seed, **detector(0.5, seed))
        record(folder, "pneumoniamnist", "bigan", seed, **detector(3.0, seed))
        record(folder, "pneumoniamnist", "healthygan", seed, **detector(2.0, seed, sees_mix=True))
    parameters = {MIX: 0.0}
    record(
        folder,
        "pneumoniamnist",
        "healthygan-mix00",
        0,
        "healthygan",
        parameters=parameters,
        **detector(0.1, 0, sees_mix=True),
    )
    record(
        folder,
        "pneumoniamnist",
        "bigan-wide",
        10,
        "bigan",
        parameters={"bigan.model.width": 64},
        validation=validation(0.91, 0.87),
    )
    return folder


def test_a_row_is_the_mean_over_its_seeds(root: Path) -> None:
    row = collect(root, "pneumoniamnist", EXPERIMENT, 0.5).detectors["bigan"]
    each = [one.test_scores for one in read_records(root, "pneumoniamnist")["bigan"]]
    areas = [roc_auc_score(one.labels, one.scores) for one in each if one is not None]
    assert row.auroc.value == pytest.approx(np.mean(areas), abs=1e-4)
    assert row.auroc.per_seed == pytest.approx(areas, abs=1e-4)
    assert (row.n_seeds, row.seeds) == (2, (0, 1))
    assert row.auroc.low < min(areas)


def test_a_difference_is_that_of_the_means_and_the_better_detector_is_called_so(root: Path) -> None:
    document = collect(root, "pneumoniamnist", EXPERIMENT, 0.5)
    tests = {(test.first, test.second): test for test in document.differences}
    assert set(tests) == {("bigan", "nearest_neighbour")}
    test = tests["bigan", "nearest_neighbour"]
    areas = [document.detectors[name].auroc.value for name in ("bigan", "nearest_neighbour")]
    assert test.difference.value == pytest.approx(areas[0] - areas[1], abs=1e-4)
    assert test.verdict == "better than nearest_neighbour"
    assert test.difference.low > 0


@pytest.mark.parametrize(
    ("skills", "words"),
    [
        ({"border": 0.1, "thumbnail": 0.2}, "better than every shortcut"),
        (
            {"border": 0.1, "thumbnail": 4.0},
            "not shown to be better than the thumbnail alone, which may show the disease; better than what cannot",
        ),
        (
            {"border": 4.0, "thumbnail": 0.1},
            "not shown to be better than the border alone: it may detect the source",
        ),
    ],
)
def test_a_detector_no_better_than_a_shortcut_is_said_to_be(
    tmp_path: Path, skills: dict[str, float], words: str
) -> None:
    for seed in (0, 1):
        record(tmp_path, "pneumoniamnist", "bigan", seed, **detector(2.0, seed))
    record(tmp_path, "pneumoniamnist", "shortcuts", 0, **shortcuts(**skills))
    document = collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)
    assert reading(document.shortcuts["bigan"]) == words
    assert f"`bigan` is {words} (" in page(
        {"pneumoniamnist": document}, {"pneumoniamnist": EXPERIMENT}
    )


def test_shortcuts_of_other_images_are_not_compared(tmp_path: Path) -> None:
    record(tmp_path, "pneumoniamnist", "bigan", 0, **detector(2.0, 0))
    found = shortcuts(border=1.0)
    record(
        tmp_path,
        "pneumoniamnist",
        "shortcuts",
        0,
        shortcuts={**found["shortcuts"], "units": "of other images"},
    )
    assert collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5).shortcuts == {}


def test_a_row_of_another_input_is_compared_with_none(tmp_path: Path) -> None:
    name, local = "bigan (intensity: local)", {"preprocessing.intensity": "local"}
    for row, skill in (("nearest_neighbour", 0.5), ("bigan", 1.5)):
        record(tmp_path, "pneumoniamnist", row, 0, **detector(skill, 0))
    record(tmp_path, "pneumoniamnist", name, 0, model="bigan", parameters=local, **detector(2.0, 0))
    record(tmp_path, "pneumoniamnist", "shortcuts", 0, **shortcuts(border=1.0))
    experiment = replace(EXPERIMENT, variants={name: Variant("bigan", local)})
    document = collect(tmp_path, "pneumoniamnist", experiment, 0.5)
    assert name in document.detectors
    assert name not in {one for test in document.differences for one in (test.first, test.second)}
    assert set(document.shortcuts) == {"nearest_neighbour", "bigan"}


def test_the_contamination_curve_has_the_share_of_each_row(root: Path) -> None:
    curves = collect(root, "pneumoniamnist", EXPERIMENT, 0.5).contamination
    assert {name: [share for share, _ in points] for name, points in curves.items()} == {
        "healthygan": [0.0, 0.5]
    }


def test_validation_chooses_among_the_gans_alone(root: Path) -> None:
    found = collect(root, "pneumoniamnist", EXPERIMENT, 0.5)
    assert chosen_on_validation(found, sees_mix=False) == "bigan"
    poisoned = {
        name: replace(row, metrics={**row.metrics, "auroc": Estimate(0.0)})
        for name, row in found.detectors.items()
    }
    assert chosen_on_validation(replace(found, detectors=poisoned), sees_mix=False) == "bigan"
    assert chosen_on_validation(found, sees_mix=True) == "healthygan"


def test_validation_chooses_a_variant_and_compares_on_the_seeds_of_both(tmp_path: Path) -> None:
    variant = Variant("bigan", {"bigan.model.width": 64})
    experiment = replace(EXPERIMENT, variants={"bigan-wide": variant}, tried={})
    for seed in (0, 1):
        record(tmp_path, "pneumoniamnist", "nearest_neighbour", seed, **detector(0.5, seed))
        record(tmp_path, "pneumoniamnist", "bigan", seed, **detector(1.0, seed))
    wide = {"parameters": variant.parameters, **detector(3.0, 0)}
    record(tmp_path, "pneumoniamnist", "bigan-wide", 0, "bigan", **wide)
    found = collect(tmp_path, "pneumoniamnist", experiment, 0.5)
    assert chosen_on_validation(found, sees_mix=False) == "bigan-wide"
    text = page({"pneumoniamnist": found}, {"pneumoniamnist": experiment})
    assert "the difference (on the 1 seed that both have) is" in text
    assert (
        "*Normal images alone:* `bigan-wide`, so far: one training of each is no verdict." in text
    )
    assert "**better than nearest_neighbour**" not in text


def test_ten_trainings_give_a_verdict(tmp_path: Path) -> None:
    for seed in range(10):
        record(tmp_path, "pneumoniamnist", "nearest_neighbour", seed, **detector(0.5, seed))
        record(tmp_path, "pneumoniamnist", "bigan", seed, **detector(2.0, seed))
    found = collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)
    text = page({"pneumoniamnist": found}, {"pneumoniamnist": EXPERIMENT})
    assert "*Normal images alone:* **`bigan`.**" in text
    assert "p < 0.001: **better than nearest_neighbour**" in text


def test_a_row_says_what_chose_it(tmp_path: Path) -> None:
    looked = {"choice": "weights of the latest look with AUCp within one standard error"}
    record(tmp_path, "pneumoniamnist", "nearest_neighbour", 0, **detector(0.5, 0))
    for seed, published in ((0, 50), (1, 100)):
        told = {"published_step": published, "steps": 100}
        record(tmp_path, "pneumoniamnist", "bigan", seed, **detector(1.0, seed), **looked, **told)
    tried = {"parameters": {"bigan.model.width": 64}, "validation": validation(0.91, 0.87)}
    record(tmp_path, "pneumoniamnist", "bigan-wide", 10, "bigan", **tried)
    found = collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)
    rows = {line.split(" |")[0]: line for line in detectors(found).markdown().splitlines()}
    assert (
        "| weights: unlabelled mix; settings: labels; threshold: labels |" in rows["| bigan (ALAD)"]
    )
    assert "| threshold: labels |" in rows["| nearest_neighbour"]
    assert "the last step in 1 of 2 trainings" in last_steps(found)


def test_the_page_answers_and_says_what_is_missing(root: Path) -> None:
    document = collect(root, "pneumoniamnist", EXPERIMENT, 0.5)
    text = page(
        {"pneumoniamnist": document},
        {
            "pneumoniamnist": EXPERIMENT,
            "isic": Experiment("skin", models=("sngan",), not_run="data not at hand"),
        },
    )
    assert "validation chooses `bigan`" in text
    assert "2 seeds: exploratory" in text
    assert "p < 0.001: better than nearest_neighbour" in text
    assert "fanogan-0, shortcuts-0, fanogan-1" in text.split("not run yet: ")[1]
    assert "| bigan.model.width = 64 | 0.910 | 0.870 |" in text
    assert "missed. Too few steps." in text
    assert "`bigan` minus `nearest_neighbour` is +0." in text
    assert "*With unlabelled images:* the GAN that validation chooses has an AUROC of 0.5." in text
    assert "*Normal images alone:* `bigan`, so far: 2 trainings of each are no verdict." in text
    assert "another \\| protocol" in text
    assert "not run: data not at hand | `make reproduce DATASET=isic SOURCE=PATH`" in text
    assert "### Image quality" not in text


def test_a_baseline_answers_where_no_gan_was_run(tmp_path: Path) -> None:
    record(tmp_path, "pneumoniamnist", "mix_vs_normal", 0, **detector(1.0, 0, sees_mix=True))
    text = page(
        {"pneumoniamnist": collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)},
        {"pneumoniamnist": EXPERIMENT},
    )
    assert (
        "*With unlabelled images:* `mix_vs_normal`, no GAN, so far: one training of each is no verdict. "
        "No GAN that sees as much was run. AUROC 0." in text
    )
    assert "*Normal images alone:*" not in text


def test_image_quality_stands_beside_real_images_with_its_seeds(tmp_path: Path) -> None:
    for seed, value in ((0, 3.0), (1, 5.0)):
        figure = {"value": value, "real_vs_real": 1.5, "n": 200}
        record(
            tmp_path,
            "pneumoniamnist",
            "sngan",
            seed,
            quality={"overall": {"fid_domain": figure}, "normal": {"fid_domain": figure}},
        )
    text = page(
        {"pneumoniamnist": collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)},
        {"pneumoniamnist": EXPERIMENT},
    )
    assert "| Fréchet distance, domain features | lower | 4.000 | 1.500 | 200 |" in text
    assert "| seeds | – | 2 | – | – |" in text
    assert "No intervals: 2 seeds: exploratory." in text


def test_what_synthetic_images_add_is_told_by_the_share_of_real_images(tmp_path: Path) -> None:
    shares = {"-10": 0.1, "-25": 0.25, "": 1.0}
    skills = {"real-10": 0.5, "gan-10": 3.0, "real-25": 1.0, "gan-25": 1.0, "real": 2.0, "gan": 2.0}
    for name, skill in skills.items():
        share = shares[name.removeprefix("real").removeprefix("gan")]
        given = {} if share == 1 else {REAL_SHARE: share}
        for seed in (0, 1):
            model = name.partition("-")[0]
            record(tmp_path, "films", name, seed, model, parameters=given, **arm(skill, seed))
    variants = {
        name: Variant(name.partition("-")[0], {REAL_SHARE: shares[name[-3:]]}, seeds=(0, 1))
        for name in skills
        if "-" in name
    }
    declared = Experiment("films", seeds=(0, 1), arms=("real", "gan"), variants=variants)
    found = collect(tmp_path, "films", declared, 0.5)
    curve = gains(found)["GAN − real"]
    assert [share for share, _ in curve] == [0.1, 0.25, 1.0]
    assert all(test.first.startswith("gan") for _, test in curve)
    assert curve[0][1].difference.value > 0.15
    told = page({"films": found}, {"films": declared})
    assert "at 10% (" in told
    assert "at 25% (" in told
    assert "results/films-gain.png" in told
    assert "gain" in dict(figures(found, read_records(tmp_path, "films")))


def test_what_is_published_is_the_same_twice(root: Path, tmp_path: Path) -> None:
    for part in ("conf", "docs"):
        (tmp_path / part).mkdir()
    for name in ("base", "pneumoniamnist"):
        (tmp_path / "conf" / name).symlink_to(ROOT / "conf" / name)
    (tmp_path / "docs" / "results").symlink_to(root / "docs" / "results")
    first = {path: path.read_bytes() for path in publish(tmp_path, {"pneumoniamnist": EXPERIMENT})}
    assert {path.name for path in first} == {
        *(
            "results.md",
            "pneumoniamnist.json",
            "pneumoniamnist-auroc.png",
            "pneumoniamnist-roc.png",
            "pneumoniamnist-contamination.png",
        )
    }
    assert {
        path: path.read_bytes() for path in publish(tmp_path, {"pneumoniamnist": EXPERIMENT})
    } == first


def test_seeds_of_different_settings_are_never_averaged(tmp_path: Path) -> None:
    for seed, width in enumerate((8, 16)):
        record(
            tmp_path,
            "pneumoniamnist",
            "bigan",
            seed,
            configuration={"width": width},
            **detector(1.0, seed),
        )
    with pytest.raises(
        UserError, match=r"bigan \(seeds 0, 1\) were trained with different settings"
    ):
        collect(tmp_path, "pneumoniamnist", EXPERIMENT, 0.5)


def test_folds_become_one_row_with_an_interval_over_subjects(tmp_path: Path) -> None:
    experiment = Experiment("volumes", models=("bigan",), folds=3)
    for fold in range(3):
        parts = detector(2.0, fold)
        record(
            tmp_path,
            "brain_mri",
            f"bigan-fold{fold:02}",
            0,
            "bigan",
            parameters={"preprocessing.fold": fold},
            **parts,
        )
    document = collect(tmp_path, "brain_mri", experiment, 0.5)
    row = document.detectors["bigan"]
    assert row.folds.n_folds == 3
    assert row.n_patients == 20
    assert row.auroc.low < row.auroc.value < row.auroc.high
    assert document.missing == ()
    assert "bigan" in page({"brain_mri": document}, {"brain_mri": experiment})
