"""Environments of conf/ as a run sees them, and their data sets run in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from medgan.pipelines.ingestion.pipeline import create_pipeline as ingestion
from medgan.pipelines.preprocessing.pipeline import create_pipeline as preprocessing
from medgan.project.loader import MedganConfigLoader
from medgan.project.parameters import sections, typed
from medgan.settings import CONFIG_LOADER_ARGS
from tests.conftest import ROOT


def loaded(
    env: str, location: Path | None = None, conf: Path = ROOT / "conf", **given: Any
) -> MedganConfigLoader:
    """The configuration of an environment at the smoke scale, as `--params source=...` and `given`
    make it.
    """
    source = {"source": str(location)} if location else {}
    return MedganConfigLoader(
        conf, env, {"scale": "smoke", **source, **given}, **CONFIG_LOADER_ARGS
    )


def parameters(env: str, **given: Any) -> dict[str, Any]:
    """The typed parameters of an environment."""
    return typed(loaded(env, **given)["parameters"], sections())


def opened(env: str, location: Path | None = None, **given: Any) -> Any:
    """The source of an environment."""
    entry = {"source": loaded(env, location, **given)["catalog"]["source"]}
    return DataCatalog.from_config(entry).load("source")


def rows(env: str, location: Path, **given: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of an environment's source by image_id: those that are used, and those that are left
    out.
    """
    table = opened(env, location, **given).named_rows().set_index("image_id").sort_index()
    excluded = table.reindex(columns=["excluded"])["excluded"]
    return table[excluded.isna()], table[excluded.notna()]


def ran(
    env: str, location: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any
) -> DataCatalog:
    """What ingestion and preprocessing make of a data set, written below `folder`, in this
    process.
    """
    monkeypatch.chdir(folder)
    loader = loaded(env, location.resolve(), **given)
    catalog = DataCatalog.from_config(loader["catalog"])
    for name, value in typed(loader["parameters"], sections()).items():
        catalog[f"params:{name}"] = MemoryDataset(value, copy_mode="assign")
    for pipeline in (ingestion(), preprocessing()):
        SequentialRunner().run(pipeline, catalog)
    return catalog
