"""The options of `kedro run`: each works, or is refused in one sentence before anything is written.

The commands run in this process, in a copy of tests/scratch without MLflow.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.pipeline import Pipeline, node

from medgan.cli import cli
from medgan.cli.run import _full_names
from medgan.project.run_view import NODES

ALL = ["prepare", "training.other.train", "training.toy.train", "judge"]
Run = Callable[..., Result]


FILES = {
    "x.yml": "x: 1",
    "empty.yml": "run:",
    "list.yml": "[1, 2]",
    "typo.yml": "run: {tag: x}",
    "broken.yml": "run: [",
    "tags.yml": "run: {tags: [quick], params: {scale: smoke}}",
    "wrong.yml": "run: {params: {scael: 1}}",
    "version.yml": "run: {pipelines: [making], load_versions: {prepared: '2026'}}",
}
"""For `--config`."""


@pytest.fixture
def run(configured: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Run:
    """`kedro run` in the scratch project, which starts without data."""
    monkeypatch.chdir(configured)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    shutil.rmtree(configured / "data", ignore_errors=True)
    caplog.set_level(logging.DEBUG, logger=NODES.name)
    for name, text in FILES.items():
        (configured / name).write_text(text)

    def invoke(*arguments: str) -> Result:
        caplog.clear()
        return CliRunner().invoke(cli, ["run", *arguments])

    return invoke


@pytest.fixture
def ran(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The nodes of the newest run, in their order."""
    return lambda: [
        record.getMessage().split()[-1] for record in caplog.records if record.name == NODES.name
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--pipelines making,judgin", "There is no pipeline 'judgin': did you mean 'judging'?"),
        ("--namespaces training.tyo", "no namespace 'training.tyo': did you mean 'training.toy'?"),
        ("--tags quik", "There is no tag 'quik': did you mean 'quick'?"),
        ("--nodes prepar", "There is no node 'prepar': did you mean 'prepare'?"),
        ("--from-nodes prepar", "There is no node 'prepar': did you mean 'prepare'?"),
        (
            "--to-nodes training.toy.trian",
            "no node 'training.toy.trian': did you mean 'training.toy.",
        ),
        ("--from-inputs preparde", "There is no dataset 'preparde': did you mean 'prepared'?"),
        (
            "--to-outputs toy.trainig",
            "There is no dataset 'toy.trainig': did you mean 'toy.training'?",
        ),
        ("--load-versions preparde:1", "There is no dataset 'preparde': did you mean 'prepared'?"),
        ("--load-versions prepared:2026", "prepared has no version 2026: it has none yet."),
        ("--load-versions toy.training:2026", "toy.training is not versioned in the catalog."),
        ("--load-versions prepared", "Expected the form of 'load_versions'"),
        ("--runner ThreadRuner", "There is no runner 'ThreadRuner': did you mean 'ThreadRunner'?"),
        ("--runner ThreadRunner", "--runner ThreadRunner does not work here, since nodes would"),
        ("--runner ParallelRunner", "--runner ParallelRunner does not work here, since its proc"),
        ("--runner nowhere.Runner", "There is no runner 'nowhere.Runner'"),
        ("--async", "--async does not work here"),
        ("--runner-params is_async=True", "--async does not work here"),
        ("--params toy.steps=", "toy.steps= has no value: give toy.steps=VALUE"),
        ("--params toy", "--params has `toy`: give NAME=VALUE"),
        ("--conf-source nowhere", "Path 'nowhere' does not exist"),
        ("--env lcoal", "There is no environment 'lcoal'"),
        ("--nodes prepare --namespaces training.toy", "No node fits all of these options together"),
        ("--nodes judge", "make them with `kedro run --pipelines making,training`"),
        ("--pipelin making", "No such option"),
        ("--pipeline Making", "There is no pipeline 'Making': did you mean 'making'?"),
        ("--nodes PREPARE", "There is no node 'PREPARE': did you mean 'prepare'?"),
        ("--nodes train", "did you mean 'training.other.train' or 'training.toy.train'?"),
        ("--from-nodes toy.train", "did you mean 'training.toy.train'?"),
        ("--namespaces toy", "There is no namespace 'toy': did you mean 'training.toy'?"),
        ("--namespaces training,tranining.toy", "did you mean 'training.toy'?"),
        ("--to-outputs params:seed", "There is no dataset 'params:seed'"),
        ("--tags quick --tags b", "--tags is given 2 times: give it once"),
        ("-t quick --tags b", "--tags is given 2 times"),
        ("--params scale=smoke --params seed=1", "--params is given 2 times"),
        ("--pipeline=", "--pipeline has no value: give it one, or leave it out."),
        ("--pipelines ,", "--pipelines has no value"),
        ("--tags=", "--tags has no value"),
        ("--env=", "--env has no value"),
        ("--runner=", "--runner has no value"),
        ("--load-versions prepared:", "Version string '' is not allowed"),
        ("--load-versions prepared:../x", "is not allowed"),
        ("--load-versions :x", "There is no dataset ''"),
        ("--runner sequentialrunner", "did you mean 'SequentialRunner'?"),
        ("--runner AbstractRunner", "There is no runner 'AbstractRunner'"),
        ("--runner torch.nn.Linear", "There is no runner 'torch.nn.Linear'"),
        ("--runner toy:Runner", "There is no runner 'toy:Runner'"),
        ("--runner os", "There is no runner 'os'"),
        ("--runner .", "There is no runner '.'"),
        ("--runner-params foo", "must contain a key and a value separated by `=`"),
        ("--runner-params max_workers=4", "SequentialRunner got an unexpected keyword argument"),
        ("--params scael=smoke", "There is no parameter 'scael': did you mean 'scale'?"),
        ("--params toy.steps=abc", "conf: `toy.steps` is 'abc': input should be a valid integer"),
        ("--params scale=huge", "use one of smoke, cpu, gpu"),
        ("--params scale=smoke,b=c", "A value that holds `,b=` needs quotes"),
        ("--params toy.steps=1,toy.steps=2", "has `toy.steps` and `toy.steps`: give one value"),
        ("--conf-source src", "does not exist or is not a valid directory"),
        ("--pipeline making --pipelines training", "Use --pipeline or --pipelines, not both."),
        ("making", "Got unexpected extra argument (making)"),
        ("--config gone.yml", "File 'gone.yml' does not exist"),
        ("--config x.yml", "x.yml has no section `run` with options"),
        ("--config empty.yml", "has no section `run` with options"),
        ("--config list.yml", "has no section `run` with options"),
        ("--config typo.yml", "Key `tag` in provided configuration is not valid"),
        ("--config broken.yml", "conf: while parsing"),
        ("--config tags.yml --tags quik", "There is no tag 'quik'"),
        ("--config wrong.yml", "There is no parameter 'scael': did you mean 'scale'?"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(run, ran, configured, arguments, words):
    done = run(*arguments.split())
    assert done.exit_code != 0
    assert words in " ".join(done.output.split()), done.output
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output
    assert ran() == []
    assert not (configured / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "nodes"),
    [
        ("", ALL),
        ("--runner SequentialRunner", ALL),
        ("--env base --conf-source conf", ALL),
        ("--tags quick", ["prepare"]),
        ("--config tags.yml", ["prepare"]),
        ("--runner kedro.runner.SequentialRunner --nodes prepare", ["prepare"]),
        ("--pipelines making,making", ["prepare"]),
        ("--params=", ALL),
        ("--nodes prepare", ["prepare"]),
        ("--to-nodes training.toy.train", ["prepare", "training.toy.train"]),
        ("--to-outputs toy.training", ["prepare", "training.toy.train"]),
        ("--pipelines training,making", ["prepare", "training.other.train", "training.toy.train"]),
    ],
)
def test_options_choose_the_nodes_of_a_new_project(run, ran, arguments, nodes):
    done = run(*arguments.split())
    assert done.exit_code == 0, done.output
    assert ran() == nodes


def test_options_choose_the_nodes_of_a_project_with_data(run, ran):
    assert run().exit_code == 0
    for arguments, nodes in {
        "--namespaces training.toy": ["training.toy.train"],
        "--namespaces training": ["training.other.train", "training.toy.train"],
        "--from-nodes training.toy.train": ["training.toy.train", "judge"],
        "--from-inputs toy.training": ["judge"],
        "--from-nodes training.other.train --to-nodes training.other.train": [
            "training.other.train"
        ],
    }.items():
        done = run(*arguments.split())
        assert done.exit_code == 0, done.output
        assert ran() == nodes


def test_only_missing_outputs_runs_what_is_missing(run, ran, configured):
    assert run().exit_code == 0
    results = configured / "data/08_reporting/scratch/results.json"
    before = results.read_bytes()
    done = run("--pipeline", "making", "--only-missing-outputs")
    assert done.exit_code == 0, done.output
    assert "nothing to run" in done.output
    assert ran() == []
    assert results.read_bytes() == before
    shutil.rmtree(configured / "data/prepared.txt")
    assert run("--pipeline", "making", "--only-missing-outputs").exit_code == 0
    assert ran() == ["prepare"]


def test_load_versions_read_an_older_version(run, configured):
    assert run("--pipeline", "making").exit_code == 0
    (version,) = [path.name for path in (configured / "data/prepared.txt").iterdir()]
    assert run().exit_code == 0
    assert len(list((configured / "data/prepared.txt").iterdir())) == 2
    done = run("--namespaces", "training.toy", "--load-versions", f"prepared:{version}")
    assert done.exit_code == 0, done.output
    done = run(
        "--namespaces", "training.toy", "--load-versions", "prepared:2020-01-01T00.00.00.000Z"
    )
    assert "has no version 2020-01-01T00.00.00.000Z: the newest are" in done.output


def test_a_node_may_be_given_without_its_namespace_where_only_one_has_that_name():
    placed = (("one", "read"), ("two", "train"), ("three", "train"))
    nodes = [node(abs, "a", f"b{place}", name=name, namespace=place) for place, name in placed]
    known = _full_names(["read", "train", "one.read", "reed"], Pipeline(nodes))
    assert known == ["one.read", "train", "one.read", "reed"]
