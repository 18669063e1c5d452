from __future__ import annotations

from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.experiments.plan import Further, Study, Variant, read_studies, runs, study_of
from tests.conftest import ROOT


def declared(folder: Path, text: str) -> dict[str, Study]:
    (folder / "studies.yml").write_text(text)
    return read_studies(folder)


def test_the_projects_studies_can_be_read_and_every_environment_has_one() -> None:
    studies = read_studies(ROOT / "conf")
    environments = {path.parent.name for path in (ROOT / "conf").glob("*/globals.yml")} - {
        "base",
        "medmnist",
    }
    assert set(studies) == environments
    assert all(study.not_run or list(runs(study, 0)) for study in studies.values())


def test_the_arms_come_after_their_generator_and_before_the_detectors_that_stand_beside_them() -> (
    None
):
    study = Study("films", models=("bigan", "acgan"), arms=True, kinds=True)
    first, arms, last = runs(study, 3)
    assert list(first.records) == ["acgan"]
    assert list(arms.records) == ["real", "classical", "gan", "gan_classical"]
    assert "results.classifiers" in arms.outputs
    assert last.outputs == (
        "bigan.evaluation",
        "bigan.test_scores",
        "bigan.components",
        "bigan.categories",
        "bigan.quality",
    )
    assert last.parameters == {"seed": 3}


def test_variants_that_change_the_splits_come_last_and_side_by_side() -> None:
    mix = {"preprocessing.contamination": 0.1}
    variants = {
        "a": Variant("dcgan", mix),
        "b": Variant("dcgan", {"dcgan.model.width": 8}),
        "c": Variant("bigan", mix),
    }
    found = list(runs(Study("films", models=("dcgan",), variants=variants), 0))
    assert [name for run in found for name in run.records] == ["shortcuts", "dcgan", "b", "a", "c"]
    assert (
        found[1].preparation()
        == found[2].preparation()
        != found[3].preparation()
        == found[4].preparation()
    )


def test_what_is_tried_is_never_scored_on_test_images() -> None:
    study = Study(
        "films",
        models=("dcgan",),
        tried={"wide": Variant("dcgan", {"dcgan.model.width": 8}, seeds=(10,))},
    )
    (run,) = runs(study, 10)
    assert (run.pipelines, run.outputs) == (("gan_training",), ("dcgan.published",))
    assert study.all_seeds() == [0, 10]


def test_further_seeds_are_of_the_named_rows_alone() -> None:
    study = Study(
        "films", seeds=(0,), further=Further(("bigan",), (1, 2)), models=("dcgan", "bigan")
    )
    assert study.all_seeds() == [0, 1, 2]
    assert [list(run.records) for run in runs(study, 0)] == [["shortcuts"], ["dcgan"], ["bigan"]]
    assert [list(run.records) for run in runs(study, 2)] == [["bigan"]]


def test_a_small_cohort_is_run_on_every_fold() -> None:
    study = Study("volumes", models=("dcgan", "bigan"), folds=3)
    found = list(runs(study, 0))
    assert [name for run in found for name in run.records][:3] == [
        "dcgan-fold00",
        "bigan-fold00",
        "dcgan-fold01",
    ]
    assert found[-1].parameters == {"preprocessing.fold": 2, "seed": 0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("films: {about: x, modles: [dcgan]}", "modles"),
        ("films: {about: x, models: [dgan]}", "'dgan', which does not exist"),
        (
            "films: {about: x, models: [dcgan], variants: {dcgan: {model: dcgan, parameters: {}}}}",
            "two rows named 'dcgan'",
        ),
        (
            "films: {about: x, models: [dcgan], further: {rows: [bigan], seeds: [1]}}",
            "further seeds of 'bigan', which is none of its rows",
        ),
        ("films: [", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        declared(tmp_path, text)


def test_a_data_set_without_study_is_refused() -> None:
    with pytest.raises(UserError, match="declares no study of 'films'"):
        study_of(ROOT / "conf", "films")
