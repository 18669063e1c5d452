"""The graph as kedro-viz draws it, and as Kedro selects from it."""

from __future__ import annotations

from inspect import signature

import pytest
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro_viz.data_access.managers import DataAccessManager
from kedro_viz.integrations.kedro.data_loader import load_data

from medgan import models
from medgan.pipeline_registry import PIPELINES
from medgan.pipelines.arms import ALL, ARMS, BY_DEFAULT, FOREIGN, SOURCE_ARMS
from tests.conftest import ROOT

ROOT_ID = "__root__"
MOST, MOST_REGISTERED = 45, 80


@pytest.fixture(scope="module")
def drawn() -> DataAccessManager:
    """What the kedro-viz server has to show."""
    catalog, found, extras = load_data(ROOT)
    manager = DataAccessManager()
    manager.add_node_extras(extras)
    manager.add_catalog(catalog, found)
    manager.add_pipelines(found)
    return manager


@pytest.fixture(scope="module")
def registry() -> dict[str, Pipeline]:
    bootstrap_project(ROOT)
    return dict(pipelines)


def elements(manager: DataAccessManager, pipeline: str, box: str = ROOT_ID) -> list[str]:
    """The names that are seen in a box; parameters are hidden until somebody asks for them."""
    tree = manager.create_modular_pipelines_tree_for_registered_pipeline(pipeline)
    nodes = [manager.nodes.get_node_by_id(child.id) for child in tree[box].children]
    return [
        node.name
        for node in nodes
        if node.belongs_to_pipeline(pipeline) and node.type != "parameters"
    ]


def test_the_default_view_has_six_boxes_and_few_elements(drawn):
    seen = elements(drawn, "__default__")
    assert set(PIPELINES) <= set(seen)
    assert len(seen) <= MOST
    tree = drawn.create_modular_pipelines_tree_for_registered_pipeline("__default__")
    assert {
        child.id for child in tree[ROOT_ID].children if "modular" in child.type.value.lower()
    } == set(PIPELINES)


@pytest.mark.parametrize("name", PIPELINES)
def test_each_pipeline_is_drawn_closed_and_open(drawn, name):
    closed = elements(drawn, name)
    opened = closed + elements(drawn, name, name)
    assert name in closed
    assert len(opened) <= MOST_REGISTERED


def test_all_models_are_drawn_as_one_more_pipeline_with_few_elements(drawn):
    seen = elements(drawn, ALL)
    assert set(PIPELINES) <= set(seen)
    assert len(seen) <= MOST_REGISTERED


def test_the_default_run_has_every_model_but_those_on_request(registry):
    trained = {f"{name}.trained" for name in models.names()}
    by_default = {f"{name}.trained" for name in models.by_default()}
    assert by_default < trained
    assert trained & registry["__default__"].datasets() == by_default
    assert trained <= registry[ALL].datasets()


def test_a_model_is_one_box_that_tells_its_story(drawn, registry):
    for name in models.detectors():
        whole = "__default__" if name in models.by_default() else ALL
        assert {"train", "publish"} <= set(elements(drawn, whole, f"gan_training.{name}"))
        inside = set(elements(drawn, whole, f"anomaly_evaluation.{name}"))
        assert {"score", "evaluate", "audit", "illustrate", f"{name}.scores"} <= inside
    for arm in ARMS:
        others = SOURCE_ARMS if ARMS[arm].generator == FOREIGN else ALL
        whole = "__default__" if arm in BY_DEFAULT else others
        box = set(elements(drawn, whole, f"classifier_training.{arm}"))
        assert {"train", "publish", "evaluate"} <= box


def test_every_persisted_data_set_has_a_layer_and_the_layers_have_an_order(drawn, registry):
    names = {name for name in registry["__default__"].datasets() if not name.startswith("params:")}
    assert {name for name in names if drawn.catalog.get_layer_for_dataset(name) is None} == set()
    for pipeline in registry:
        assert drawn.get_sorted_layers_for_registered_pipeline(pipeline)
    assert drawn.get_sorted_layers_for_registered_pipeline("__default__") == [
        "raw",
        "intermediate",
        "model input",
        "models",
        "model output",
        "reporting",
    ]


def test_tags_and_namespaces_select_a_model(registry):
    bigan = registry["__default__"].only_nodes_with_tags("bigan")
    assert {node.short_name for node in bigan.nodes} == {
        "train",
        "publish",
        "synthesize",
        "judge_release",
        "score",
        "evaluate",
        "audit",
        "illustrate",
        "validate_externally",
    }
    trained = registry["__default__"].only_nodes_with_namespaces(["gan_training.bigan"])
    assert trained.outputs() == {"bigan.trained"}
    assert {"images", "splits", "earlier_trainings"} <= trained.inputs()
    part = registry["__default__"].from_nodes("anomaly_evaluation.bigan.evaluate")
    assert "anomaly_evaluation.report" in {node.name for node in part.nodes}
    assert "anomaly_evaluation.bigan.score" not in {node.name for node in part.nodes}


def test_every_node_gives_its_function_what_it_takes(registry):
    for node in (node for pipeline in registry.values() for node in pipeline.nodes):
        if isinstance(node._inputs, dict):
            signature(node.func).bind(**{name.partition(".")[0]: None for name in node._inputs})
        else:
            signature(node.func).bind(*node.inputs)


def test_what_is_expensive_is_persisted(registry):
    """`--only-missing-outputs` asks which files exist, so nothing may live in memory alone."""
    from kedro.io import MemoryDataset

    from medgan.project.artifacts import Project

    catalog = Project(ROOT).catalog("phantoms")
    for name in registry["__default__"].all_outputs():
        assert not isinstance(catalog.get(name), MemoryDataset), name
