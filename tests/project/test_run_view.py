"""What a run shows: a line for each pipeline, a line for each node where that is asked for."""

import logging

import pytest
from kedro.pipeline import node, pipeline

from medgan.project.run_view import NODES, RunView


def identity(value: object) -> object:
    return value


def chain(*names: str, namespace: str, start: str) -> object:
    ends = [start, *(f"{namespace}-{name}" for name in names)]
    return pipeline(
        [
            node(identity, before, after, name=name)
            for name, before, after in zip(names, ends, ends[1:], strict=False)
        ],
        namespace=namespace,
        inputs=start,
        outputs=ends[-1],
    )


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The level of a run without --verbose, whatever the tests before have set."""
    caplog.set_level(logging.INFO, NODES.name)


PIPELINE = chain("read", "clean", namespace="ingestion", start="raw") + chain(
    "train", namespace="gan_training", start="ingestion-clean"
)


def test_each_pipeline_is_one_line_after_its_last_node(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 5.0, 5.0, 70.0, 70.0, 71.0])
    monkeypatch.setattr("medgan.project.run_view.time.monotonic", lambda: next(clock))
    view = RunView(PIPELINE)
    shown = []
    for each in PIPELINE.nodes:
        view.begin(each)
        shown.append(capsys.readouterr().out)
    view.finish()
    assert shown == ["", "", f"{'ingestion':<24}   2 nodes     1:10\n"]
    assert capsys.readouterr().out == f"{'gan_training':<24}    1 node     0:01\n"


def test_a_failed_run_does_not_count_the_node_that_failed(capsys):
    view = RunView(PIPELINE)
    for each in PIPELINE.nodes:
        view.begin(each)
    view.close()
    assert "gan_training" not in capsys.readouterr().out


def test_node_lines_are_for_verbose_runs_alone(caplog):
    for level, lines in ((logging.INFO, 0), (logging.DEBUG, 3)):
        caplog.clear()
        with caplog.at_level(level, NODES.name):
            view = RunView(PIPELINE)
            for each in PIPELINE.nodes:
                view.begin(each)
            view.close()
        assert len(caplog.records) == lines
    assert caplog.records[2].getMessage() == "  3/3  gan_training.train"


def test_handlers_are_left_as_they_were():
    before = [list(handler.filters) for handler in logging.getLogger().handlers]
    RunView(PIPELINE).close()
    assert [handler.filters for handler in logging.getLogger().handlers] == before


@pytest.mark.parametrize("name", ["ingestion.read", "prepare"])
def test_lines_fit_100_columns(name, capsys):
    only = pipeline([node(identity, "a", "b", name=name.replace(".", "_") * 2)])
    view = RunView(only)
    view.begin(only.nodes[0])
    view.finish()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
