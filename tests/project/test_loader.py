"""The configuration loader: conf/base, the environment, conf/local."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kedro.config import MissingConfigException

from medgan.errors import UserError
from medgan.project.environment import Environment
from medgan.project.loader import MedganConfigLoader
from tests.conftest import ROOT


def write_conf(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


CONF = {
    "base/globals.yml": "dataset: phantoms\n",
    "base/parameters.yml": "seed: 0\ntoy: {a: 1, b: {c: 2, d: 3}}\n",
    "base/catalog.yml": "source: {type: text.TextDataset, filepath: a.txt}\n",
    "xray/globals.yml": "dataset: xray_${given:flag,none}\n",
    "xray/parameters.yml": "seed: 1\ntoy: {b: {c: 5}}\n",
}
LOCAL = {
    "local/parameters.yml": "seed: 77\n",
    "local/catalog.yml": "source: {type: json.JSONDataset, filepath: b.json}\n",
    "local/credentials.yml": "bucket: {key: secret}\n",
}


def test_one_key_in_an_environment_keeps_its_siblings(tmp_path):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF), "xray")
    assert loader["parameters"] == {"seed": 1, "toy": {"a": 1, "b": {"c": 5, "d": 3}}}


@pytest.mark.parametrize("env", [None, "base", "xray", "local"])
def test_conf_local_is_merged_last_in_every_environment(tmp_path, env):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF | LOCAL), env)
    assert loader["parameters"]["seed"] == 77
    assert loader["catalog"]["source"] == {"type": "json.JSONDataset", "filepath": "b.json"}
    assert loader["credentials"] == {"bucket": {"key": "secret"}}
    assert loader["parameters"]["toy"]["b"]["c"] == (5 if env == "xray" else 2)


def test_runtime_parameters_are_stronger_than_conf_local(tmp_path):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF | LOCAL), "xray", {"seed": 3})
    assert loader["parameters"]["seed"] == 3


def test_conf_local_is_optional(tmp_path):
    assert MedganConfigLoader(write_conf(tmp_path, CONF))["parameters"]["seed"] == 0


def test_unknown_environment_is_an_error_even_with_conf_local(tmp_path):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF | LOCAL), "nowhere")
    for key in ("parameters", "credentials"):
        with pytest.raises(MissingConfigException, match="nowhere"):
            loader[key]


def test_values_set_by_the_caller_are_returned_as_they_are(tmp_path):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF | LOCAL))
    loader["parameters"] = {"seed": 5}
    assert loader["parameters"] == {"seed": 5}


def test_two_loaders_keep_their_own_globals(tmp_path):
    conf = write_conf(
        tmp_path, CONF | {"xray/parameters.yml": 'name: "${globals:dataset}"\nflag: none\n'}
    )
    first = MedganConfigLoader(conf, "xray", {"flag": "first"})
    second = MedganConfigLoader(conf, "xray", {"flag": "second"})
    assert first["parameters"]["name"] == "xray_first"
    assert second["globals"]["dataset"] == "xray_second"
    assert "flag" not in first["parameters"]


def test_environment_reads_conf_local(tmp_path):
    conf = write_conf(
        tmp_path, CONF | {"local/globals.yml": "dataset: mine\n", "xray/tracking.yml": "uri: x\n"}
    )
    assert Environment(conf, "xray").dataset() == "mine"


@pytest.mark.parametrize("env", [None, "pneumoniamnist"])
def test_conf_local_counts_in_the_environments_of_this_project(tmp_path, env):
    for name in ("base", "pneumoniamnist"):
        shutil.copytree(ROOT / "conf" / name, tmp_path / name)
    write_conf(tmp_path, {"local/parameters.yml": "seed: 77\n"})
    assert Environment(tmp_path, env).parameters()["seed"] == 77


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("*/globals.yml")), ids=str)
def test_every_environment_says_where_its_runs_are_tracked(path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    environment = Environment(ROOT / "conf", path.parent.name)
    assert environment.tracking()["uri"] == "http://127.0.0.1:5000"
    assert environment.tracking()["experiment"] == environment.dataset()


def test_loaders_in_threads_keep_their_own_values(tmp_path):
    conf = write_conf(
        tmp_path,
        CONF
        | {
            "xray/parameters.yml": (
                'name: "${globals:dataset}"\ngiven: "${runtime_params:flag}"\nhome: "${oc.env:HOME}"\n'
            )
        },
    )

    def read(number: int) -> bool:
        found = MedganConfigLoader(conf, "xray", {"flag": f"n{number}"})["parameters"]
        return (found["name"], found["given"]) == (f"xray_n{number}", f"n{number}")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(100)))


@pytest.mark.parametrize(
    "flag", ["../../x", "/x", "a/b", "a\\b", "a b", "a:b", "x" * 200, "\n", "*", "~$(x)"]
)
def test_f51_a_data_set_is_not_named_like_a_path(tmp_path, flag):
    conf = write_conf(tmp_path, CONF)
    with pytest.raises(UserError, match="which names folders below data/"):
        MedganConfigLoader(conf, "xray", {"flag": flag})


@pytest.mark.parametrize("flag", ["v1.2", "BraTS-2021", "röntgen"])
def test_a_data_set_keeps_a_name_of_letters_and_digits(tmp_path, flag):
    loader = MedganConfigLoader(write_conf(tmp_path, CONF), "xray", {"flag": flag})
    assert loader["globals"]["dataset"] == f"xray_{flag}"
