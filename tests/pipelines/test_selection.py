"""Which pipeline has a model, and which a run of one takes."""

import pytest

from medgan import models
from medgan.cli.run import _names_further_model
from medgan.pipelines.arms import pipeline_of, with_all_models

OPTIONS = ("tags", "namespaces", "node_names", "from_nodes", "to_nodes", "from_inputs")
NOTHING = dict.fromkeys((*OPTIONS, "to_outputs"), ()) | {"load_versions": {}}


def test_models_of_the_default_run_are_in_the_pipelines_of_that_run():
    assert pipeline_of("bigan", "gan_training") == "gan_training"
    assert pipeline_of("padim", "gan_training") == "all_models.gan_training"
    assert with_all_models("__default__") == "all_models"
    assert with_all_models("all_models.synthesis") == "all_models.synthesis"
    arms = "medigan.classifier_training"
    assert pipeline_of("gan_medigan", "classifier_training") == with_all_models(arms) == arms
    assert set(models.names()) - set(models.by_default()) == {
        "critic_neighbours",
        "denoising_autoencoder",
        "fpi",
        "padim",
        "patch_knn",
        "per_class",
        "untrained_neighbours",
    }


@pytest.mark.parametrize(
    ("options", "further"),
    [
        ({}, False),
        ({"tags": ("bigan",)}, False),
        ({"tags": ("bigan", "padim")}, True),
        ({"namespaces": ("gan_training.padim",)}, True),
        ({"to_nodes": ("anomaly_evaluation.padim.score",)}, True),
        ({"to_outputs": ("padim.evaluation",)}, True),
        ({"load_versions": {"padim.trained": "2026"}}, True),
    ],
)
def test_a_run_that_names_a_model_on_request_takes_all_models(options, further):
    assert _names_further_model({**NOTHING, **options}) == further
