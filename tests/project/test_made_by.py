"""The catalog says which pipelines make each output, for the sentence about a damaged one."""

from __future__ import annotations

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from medgan.pipelines.arms import ALL, SOURCE, SOURCE_ARMS
from tests.conftest import ROOT


def test_every_output_names_the_pipelines_that_make_it():
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT) as session:
        catalog = session.load_context().catalog
    wrong = {}
    for name in pipelines["__default__"].all_outputs():
        makers = {
            one
            for one in pipelines
            if one not in ("__default__", ALL, SOURCE, SOURCE_ARMS)
            and name in pipelines[one].all_outputs()
        }
        said = (getattr(catalog.get(name), "metadata", None) or {}).get("made_by", ())
        if not makers <= ({said} if isinstance(said, str) else set(said)):
            wrong[name] = (makers, said)
    assert not wrong
