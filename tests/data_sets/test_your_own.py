"""A data set of one's own is three short files: those of docs/data-sets/your-own.md, in a copy of
the project, with no other edit.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT, kedro_command
from tests.data_sets import fakes
from tests.end_to_end.project import call, make_project

PAGES = ROOT / "docs" / "data-sets"
BLOCKS = re.findall(r"```yaml\n(.*?)```", (PAGES / "your-own.md").read_text(), re.DOTALL)[:3]
"""The three files of the example; the blocks after them are fragments."""
COPIES = ("ham10000", "covidx")


def environments() -> list[str]:
    return sorted(
        folder.name
        for folder in (ROOT / "conf").iterdir()
        if (folder / "globals.yml").exists() and folder.name != "base"
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with three data sets, none of which comes with it."""
    root = make_project(tmp_path_factory.mktemp("project"))
    (root / "conf" / "my_films").mkdir()
    for name, block in zip(("globals", "catalog", "parameters"), BLOCKS, strict=True):
        (root / "conf" / "my_films" / f"{name}.yml").write_text(block)
    for name in COPIES:
        shutil.copytree(ROOT / "conf" / name, root / "conf" / name)
    for kind in ("healthy", "tumour", "cyst"):
        for patient in range(5):
            for side in ("left", "right"):
                fakes.picture(root / "films" / kind / f"patient{len(kind)}{patient:03d}_{side}.png")
    fakes.ham10000(root / "ham", lesions=5)
    fakes.covidx(root / "covid")
    return root


SESSIONS = """
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pathlib import Path
bootstrap_project(Path.cwd())
for env, source in {"ham10000": "ham", "covidx": "covid"}.items():
    with KedroSession.create(env=env, runtime_params={"scale": "smoke", "source": source}) as session:
        session.run(pipeline_names=["ingestion", "preprocessing"])
"""
"""`kedro run` for two environments; one process, since starting one takes longer than the runs."""


def check_run(project: Path, env: str, images: int, patients: int) -> None:
    manifest = pd.read_parquet(project / "data/02_intermediate" / env / "manifest.parquet")
    assert (len(manifest), manifest["group_id"].nunique()) == (images, patients)
    assert (
        json.loads(
            (project / "data/08_reporting" / env / "data_profile/data_profile.json").read_text()
        )["images"]
        == images
    )
    assert (project / "data/08_reporting" / env / "data_profile/contact_sheet.png").exists()
    splits = pd.read_parquet(project / "data/05_model_input" / env / "splits.parquet")
    assert (splits.groupby("group_id")["split"].nunique() == 1).all()


def test_three_files_make_a_data_set(project: Path) -> None:
    arguments = ["--pipelines", "ingestion,preprocessing", "--params", "scale=smoke,source=films"]
    ended = call(project, *kedro_command("run", "--env", "my_films", *arguments))
    assert ended.returncode == 0, ended.stderr[-3000:]
    check_run(project, "my_films", 30, 15)


def test_environments_run_in_the_project_as_kedro_opens_it(project: Path) -> None:
    ended = call(project, sys.executable, "-c", SESSIONS)
    assert ended.returncode == 0, ended.stderr[-3000:]
    check_run(project, "ham10000", 70, 35)
    check_run(project, "covidx", 11, 9)


def test_the_example_is_short() -> None:
    lines = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
    assert len(lines) <= 17
    assert yaml.safe_load(BLOCKS[2])["ingestion"]["labels"]["healthy"] == "normal"


@pytest.mark.parametrize("env", environments())
def test_every_environment_has_a_page_with_its_parts(env: str) -> None:
    page = (PAGES / f"{env}.md").read_text()
    assert page.startswith(f"# {env}\n")
    for part in (
        "- Get it: ",
        "- License: ",
        "```\n",
        f"kedro run --env {env} --params",
        "\nTraps:\n",
    ):
        assert part in page, part
    assert f"]({env}.md)" in (PAGES / "README.md").read_text()
    assert re.search(r"\b(kept|Kept|left out|excluded)\b", page)


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (*PAGES.glob("*.md"), ROOT / "README.md", ROOT / "docs" / "tutorial.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
