from __future__ import annotations

from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.experiments.plan import (
    Experiment,
    Further,
    Variant,
    experiment_of,
    read_experiments,
    runs,
)
from tests.conftest import ROOT


def declared(folder: Path, text: str) -> dict[str, Experiment]:
    (folder / "experiments.yml").write_text(text)
    return read_experiments(folder)


def test_the_projects_experiments_can_be_read_and_every_environment_has_one() -> None:
    experiments = read_experiments(ROOT / "conf")
    environments = {path.parent.name for path in (ROOT / "conf").glob("*/globals.yml")}
    assert {one.environment or name for name, one in experiments.items()} == environments
    datasets = [
        one.environment_in(ROOT / "conf", name).dataset() for name, one in experiments.items()
    ]
    assert len(set(datasets)) == len(experiments)
    assert all(
        experiment.not_run or list(runs(experiment, 0)) for experiment in experiments.values()
    )


def test_the_arms_come_after_their_generator_and_before_the_detectors_that_stand_beside_them() -> (
    None
):
    experiment = Experiment("films", models=("bigan", "acgan"), arms=True, anomaly_types=True)
    first, arms, last = runs(experiment, 3)
    assert list(first.records) == ["acgan"]
    assert list(arms.records) == ["real", "classical", "gan", "gan_classical"]
    assert "results.classifiers" in arms.outputs
    assert last.outputs == ("bigan.evaluation", "bigan.audit", "bigan.synthetic")
    assert last.parameters == {"seed": 3}


def test_variants_that_change_the_splits_come_last_and_side_by_side() -> None:
    mix = {"preprocessing.contamination": 0.1}
    variants = {
        "a": Variant("dcgan", mix),
        "b": Variant("dcgan", {"dcgan.model.width": 8}),
        "c": Variant("bigan", mix),
    }
    found = list(runs(Experiment("films", models=("dcgan",), variants=variants), 0))
    assert [name for run in found for name in run.records] == ["shortcuts", "dcgan", "b", "a", "c"]
    assert (
        found[1].preparation()
        == found[2].preparation()
        != found[3].preparation()
        == found[4].preparation()
    )


def test_of_what_is_tried_only_validation_is_recorded() -> None:
    experiment = Experiment(
        "films",
        models=("dcgan",),
        tried={"wide": Variant("dcgan", {"dcgan.model.width": 8}, seeds=(10,))},
    )
    (run,) = runs(experiment, 10)
    assert (run.validation_only, run.outputs) == (True, ("dcgan.evaluation",))
    assert experiment.all_seeds() == [0, 10]


def test_further_seeds_are_of_the_named_rows_alone() -> None:
    experiment = Experiment(
        "films", seeds=(0,), further=Further(("bigan",), (1, 2)), models=("dcgan", "bigan")
    )
    assert experiment.all_seeds() == [0, 1, 2]
    assert [list(run.records) for run in runs(experiment, 0)] == [
        ["shortcuts"],
        ["dcgan"],
        ["bigan"],
    ]
    assert [list(run.records) for run in runs(experiment, 2)] == [["bigan"]]


def test_a_small_cohort_is_run_on_every_fold() -> None:
    experiment = Experiment("volumes", models=("dcgan", "bigan"), folds=3)
    found = list(runs(experiment, 0))
    assert [name for run in found for name in run.records][:3] == [
        "dcgan-fold00",
        "bigan-fold00",
        "dcgan-fold01",
    ]
    assert found[-1].parameters == {"preprocessing.fold": 2, "seed": 0}


def test_a_row_that_sees_another_input_says_so_in_its_name(tmp_path: Path) -> None:
    local = (
        "{model: bigan, parameters: {preprocessing.intensity: local, preprocessing.window: 0.3}}"
    )
    mix = "{model: bigan, parameters: {preprocessing.contamination: 0.1, bigan.model.width: 8}}"
    text = (
        f"films: {{about: x, seeds: [0], models: [bigan], variants: {{bigan: {local}, new: {local}, "
        f"bigan-mix10: {mix}}}, tried: {{tried-crop: {{model: bigan, seeds: [10], "
        "parameters: {preprocessing.crop.top: 0.1}}}, "
        "further: {rows: [new, bigan], seeds: [1]}, ensembles: {both: [new, bigan]}}"
    )
    experiment = declared(tmp_path, text)["films"]
    name = "bigan (intensity: local; window: 0.3)"
    assert set(experiment.variants) == {name, "new (intensity: local; window: 0.3)", "bigan-mix10"}
    assert set(experiment.tried) == {"tried-crop (crop.top: 0.1)"}
    assert experiment.ensembles == {"both": ("new (intensity: local; window: 0.3)", "bigan")}
    assert experiment.names(1) == ["bigan", "new (intensity: local; window: 0.3)"]
    assert name in experiment.names(0)
    assert experiment.model_of(name) == "bigan"
    assert experiment.variants[name].input == {"intensity": "local", "window": "0.3"}
    assert experiment.variants["bigan-mix10"].input == {}


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


def test_a_dataset_without_experiment_is_refused() -> None:
    with pytest.raises(UserError, match="declares no experiment on 'films'"):
        experiment_of(ROOT / "conf", "films")
