"""What stands around a run: endings, and the inputs it needs."""

from __future__ import annotations

import os
import signal

import click
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import node, pipeline

from medgan.cli.errors import Interrupted, find_ending, one_sentence
from medgan.errors import UserError
from medgan.project.inputs import missing_inputs, require_inputs
from medgan.tracking.client import interrupted


def wrapped(error: Exception) -> Exception:
    """An exception as Kedro hands it on: behind a DatasetError."""
    try:
        raise DatasetError("Failed while loading data") from error
    except DatasetError as outer:
        return outer


def test_refusal_behind_other_exceptions_is_found():
    ending = find_ending(wrapped(wrapped(UserError("The file is empty."))))
    assert ending is not None
    assert ending.format_message() == "The file is empty."
    assert ending.exit_code == 1


def test_bug_is_no_ending():
    assert find_ending(wrapped(ZeroDivisionError())) is None
    with pytest.raises(ZeroDivisionError), one_sentence():
        raise ZeroDivisionError


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_exceptions_with_their_exit_code(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stopped, one_sentence():
        os.kill(os.getpid(), number)
    assert stopped.value.exit_code == code
    assert signal.getsignal(number) is before


def test_signal_behind_other_exceptions_is_seen_as_one():
    assert interrupted(wrapped(Interrupted(signal.SIGTERM)))
    assert not interrupted(wrapped(click.ClickException("no")))
    assert not interrupted(wrapped(UserError("no")))


def identity(value: object) -> object:
    return value


FIRST = pipeline([node(identity, "raw", "clean", name="first")])
SECOND = pipeline([node(identity, "clean", "model", name="second")])
THIRD = pipeline([node(identity, "model", "verdict", name="third")])
REGISTRY = {"first": FIRST, "second": SECOND, "third": THIRD, "__default__": FIRST + SECOND + THIRD}


class Absent(MemoryDataset):
    def _exists(self) -> bool:
        return False


def catalog(**datasets: object) -> DataCatalog:
    return DataCatalog(datasets)


def test_the_command_names_the_first_pipeline_that_makes_an_input():
    everything = catalog(raw=MemoryDataset(1), clean=Absent(), model=Absent())
    larger = {**REGISTRY, "all": FIRST + SECOND + THIRD}
    with pytest.raises(UserError, match="--pipelines first,second`"):
        require_inputs(THIRD, everything, larger, {})


def test_the_command_makes_everything_that_is_missing_and_no_more():
    everything = catalog(raw=MemoryDataset(1), clean=Absent(), model=Absent())
    with pytest.raises(
        UserError, match=r"Missing input model: make it with `kedro run --pipelines first,second`\."
    ):
        require_inputs(THIRD, everything, REGISTRY, {})
    part = catalog(raw=MemoryDataset(1), clean=MemoryDataset(1), model=Absent())
    with pytest.raises(
        UserError, match=r"`kedro run --env chest --pipeline second --params 'source=a folder'`"
    ):
        require_inputs(
            THIRD, part, REGISTRY, {"env": "chest", "runtime_params": {"source": "a folder"}}
        )


def test_input_that_no_pipeline_makes():
    with pytest.raises(UserError, match="Missing input raw: no pipeline makes it"):
        require_inputs(FIRST, catalog(raw=Absent()), REGISTRY, {})


def test_optional_inputs_and_parameters_may_be_absent():
    reading = pipeline(
        [node(lambda *_: 1, ["maybe", "params:x", "parameters"], "out", name="reading")]
    )
    assert missing_inputs(reading, catalog(maybe=Absent(metadata={"optional": True}))) == set()
    assert missing_inputs(reading, catalog(maybe=Absent())) == {"maybe"}
    assert missing_inputs(reading, catalog()) == {"maybe"}
