"""Parameters: scales, types, unknown keys; and every configuration file of the project."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from medgan import models
from medgan.errors import UserError
from medgan.pipelines.anomaly_evaluation.pipeline import create_pipeline as anomaly_evaluation
from medgan.pipelines.gan_training.pipeline import create_pipeline as gan_training
from medgan.pipelines.synthesis.pipeline import create_pipeline as synthesis
from medgan.project.loader import MedganConfigLoader
from medgan.project.parameters import SCALES, at_scale, sections, typed
from medgan.training.settings import ModelSettings, TrainingConfig
from tests.conftest import ROOT


@dataclass(frozen=True)
class Method:
    latent_dim: int = 8
    lr: float = 0.1


@dataclass(frozen=True)
class Inner:
    share: float = field(default=0.5)

    def __post_init__(self) -> None:
        if self.share > 1:
            raise UserError(f"outer.inner.share is {self.share}: it has to be 1 or less.")


@dataclass(frozen=True)
class Outer:
    inner: Inner | None = None
    name: str = ""


KINDS = {"scale": str, "gan": ModelSettings[Method], "outer": Outer, "seed": int}
GOOD = {
    "scale": "cpu",
    "seed": 1,
    "outer": {"inner": {"share": 0.25}},
    "gan": {
        "model": {"latent_dim": 16},
        "training": {"steps": {"adversarial": {"smoke": 2, "cpu": 200, "gpu": 9}}, "batch_size": 4},
    },
}


def changed(path: str, value: object) -> dict:
    *parents, last = path.split(".")
    document = {
        key: dict(inner) if isinstance(inner, dict) else inner for key, inner in GOOD.items()
    }
    target = document
    for part in parents:
        target[part] = dict(target.get(part, {}))
        target = target[part]
    target[last] = value
    return document


def test_sections_become_their_dataclasses_at_the_chosen_scale():
    parameters = typed(GOOD, KINDS)
    assert parameters["gan"] == ModelSettings(
        Method(16), TrainingConfig(steps={"adversarial": 200}, batch_size=4)
    )
    assert parameters["outer"] == Outer(Inner(0.25))
    assert typed(changed("scale", "smoke"), KINDS)["gan"].training.steps == {"adversarial": 2}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "gan.model.latent_dmi",
            3,
            "`gan.model.latent_dmi` is not a known key; did you mean `latent_dim`?",
        ),
        ("gan.training.batchsize", 3, "did you mean `batch_size`?"),
        ("gann", {}, "`gann` is not a known key; did you mean `gan`?"),
        ("outer.inner.zzz", 3, "`outer.inner.zzz` is not a known key; known are share"),
        (
            "gan.model.latent_dim",
            "many",
            "`gan.model.latent_dim` is 'many': input should be a valid integer",
        ),
        ("gan.model.lr", float("nan"), "`gan.model.lr` is nan"),
        ("outer.inner.share", 2.0, "outer.inner.share is 2.0: it has to be 1 or less."),
        ("scale", "huge", "`scale` is 'huge': use one of smoke, cpu, gpu"),
    ],
)
def test_wrong_parameters_are_refused_in_one_sentence(path, value, words):
    with pytest.raises(UserError) as refusal:
        typed(changed(path, value), KINDS)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_missing_section_is_named():
    with pytest.raises(UserError, match="`seed` is missing"):
        typed({key: value for key, value in GOOD.items() if key != "seed"}, KINDS)


def test_every_wrong_key_is_counted():
    with pytest.raises(UserError, match="1 more after it"):
        typed({**changed("gan.model.latent_dmi", 3), "zzz": 1}, KINDS)


def test_budget_without_the_chosen_scale_is_refused():
    with pytest.raises(
        UserError,
        match=r"`gan.steps` has no value for scale=gpu: add one, or run with scale=smoke or cpu",
    ):
        at_scale({"scale": "gpu", "gan": {"steps": {"smoke": 1, "cpu": 2}}})


def test_mapping_that_only_looks_like_a_scale_is_left_alone():
    assert at_scale({"scale": "cpu", "steps": {"cpu": 1, "other": 2}, "none": {}}) == {
        "scale": "cpu",
        "steps": {"cpu": 1, "other": 2},
        "none": {},
    }


def environments() -> list[str]:
    return sorted(
        folder.name
        for folder in (ROOT / "conf").iterdir()
        if folder.is_dir() and folder.name != "base"
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("environment", environments())
def test_every_configuration_file_validates(environment, scale):
    loader = MedganConfigLoader(ROOT / "conf", environment, {"scale": scale})
    assert set(typed(loader["parameters"], sections())) == set(sections())
    settings = {"enabled", "uri", "experiment", "system_metrics", "register"}
    assert settings == set(loader["tracking"])
    assert loader["globals"]["dataset"]


def test_models_configuration_and_namespaces_agree():
    files = {path.stem for path in (ROOT / "conf/base/parameters/models").glob("*.yml")}
    assert files == set(models.names())
    assert namespaces(gan_training(models.names())) == {("gan_training", name) for name in files}
    expected = {("synthesis", name) for name in models.synthesizers()}
    assert namespaces(synthesis(models.names())) == expected | {
        ("synthesis",),
        ("synthesis", "domain_features"),
    }
    expected = {("anomaly_evaluation", name) for name in models.detectors()}
    assert namespaces(anomaly_evaluation(models.names())) == expected | {
        ("anomaly_evaluation",),
        ("anomaly_evaluation", "domain_features"),
    }


def namespaces(pipeline):
    """The namespaces of the nodes, each as its parts."""
    return {tuple(node.namespace.split(".")) for node in pipeline.nodes}
