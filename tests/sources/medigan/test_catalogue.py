"""medigan's models and their published metrics, without a network."""

import json

import pytest
from click.testing import CliRunner

from medgan.cli.main import main
from medgan.errors import UserError
from medgan.sources.medigan.catalogue import find, listed, read_metadata, search
from tests.sources.medigan.making import ID, metadata


def test_the_listing_has_the_published_figures():
    """From Osuala 2023, table of models, and the repository of medigan."""
    assert [model.short for model in listed()] == [f"{number:05d}" for number in range(1, 24)]
    first, progressive = find("00001"), find("00019_PGGAN_CHEST_XRAY")
    assert (first.fid, first.size) == ("67.6 (N = 1,000)", "128 x 128")
    assert first.metadata.selection.license == "MIT"
    assert progressive.fid == "96.74 (N = 1,000)"
    assert progressive.metadata.selection.organ[0] == "lung"
    assert find("00022").fid == "not published"
    assert all(
        model.metadata.execution.package_link.startswith("https://zenodo.org/")
        for model in listed()
    )


def test_all_words_of_a_search_have_to_fit_in_any_case():
    assert [model.short for model in search("Node21 DCGAN")] == ["00017"]
    assert [model.short for model in search("polyp")] == ["00009", "00010", "00011"]
    assert search("polyp brain") == ()
    assert search("") == listed()


def test_an_unknown_model_is_refused_with_the_closest_one():
    with pytest.raises(UserError, match=r"no model of medigan '00017_DCGAN_XRAY_NODULES'.*00017_"):
        find("00017_DCGAN_XRAY_NODULES")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        (json.dumps({ID: {"selection": {}}}), rf"{ID}\.execution: field required"),
        (json.dumps(metadata(generate_method={})), r"generate_method\.name: field required"),
    ],
)
def test_metadata_that_cannot_be_run_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        read_metadata(text.encode(), "metadata.json")


def test_the_commands_list_and_show():
    shown = CliRunner().invoke(main, ["medigan", "list", "--search", "chest pggan"])
    assert shown.exit_code == 0, shown.output
    assert "00019" in shown.output
    assert "96.74 (N = 1,000)" in shown.output
    assert "00001" not in shown.output
    shown = CliRunner().invoke(main, ["medigan", "show", "00008"])
    assert shown.exit_code == 0
    for part in ("00008_C-DCGAN_MMG_MASSES", "137.75 (N = 379)", "MIT", "condition: None"):
        assert part in shown.output
    for words in (["list", "--search", "C-DCGAN_MMG"], ["show", "00008"]):
        as_json = json.loads(CliRunner().invoke(main, ["medigan", *words, "--json"]).stdout)
        found = as_json[0] if isinstance(as_json, list) else as_json
        assert found["id"] == "00008_C-DCGAN_MMG_MASSES"
    nothing = CliRunner().invoke(main, ["medigan", "list", "--search", "polyp brain"])
    assert nothing.exit_code == 1
    assert "use fewer or other words" in nothing.output
