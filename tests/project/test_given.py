"""`--params`: every value works as it is meant, or is refused with the way that works."""

from __future__ import annotations

from typing import Any

import pytest

from medgan.errors import UserError
from medgan.evaluation.spaces import LAYOUTS
from medgan.nested import leaves
from medgan.project.given import TEXT, TEXT_OF_A_MODEL, given_parameters, is_text, written
from medgan.project.parameters import _keys_at, sections

PATHS = [
    *("2019", "007", "1e5", "true", "null", "no", "0x10", "1_000", "12:30", "2019-01-01", "~/x"),
    *("films, 2019", "a=b", "my films", "a,b, c", "C:\\data\\films", "C:/data", "s3://b/k?a=1&b=2"),
    *(
        "[a]",
        "{a}",
        "it's",
        'the "best"',
        "#1",
        "a # b",
        "&a",
        "*a",
        "!x",
        "50%",
        "- a",
        "a: b",
        "Ü",
    ),
    *("@x", "`x`", "a\\", "--env", "a;b", "$HOME", "a,b c=d"),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_text_alone_first_last_and_in_quotes(path: str) -> None:
    assert given_parameters(f"source={path}") == {"source": path}
    for text in (f"source={path},scale=smoke", f"scale=smoke, source = {path} "):
        assert given_parameters(text) == {"source": path, "scale": "smoke"}
    if '"' not in path:
        assert given_parameters(f'source="{path}",seed=1') == {"source": path, "seed": 1}


@pytest.mark.parametrize("value", ["a,b=c", "a,scale=smoke", " a", "a,", "x, y=1, z"])
def test_other_texts_need_quotes(value: str) -> None:
    assert given_parameters(f"source='{value}',seed=1") == {"source": value.strip(), "seed": 1}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("seed=1", {"seed": 1}),
        ("keep_versions=0,seed=2", {"keep_versions": 0, "seed": 2}),
        ("augmentation.allowed=[rotation, translation],seed=1",
         {"augmentation": {"allowed": ["rotation", "translation"]}, "seed": 1}),
        ("augmentation.allowed=[]", {"augmentation": {"allowed": []}}),
        ("evaluation.decision_rules=[youden, 'fpr=0.05'],evaluation.batch_size=8",
         {"evaluation": {"decision_rules": ["youden", "fpr=0.05"], "batch_size": 8}}),
        ("evaluation.threshold_rule=fpr=0.05", {"evaluation": {"threshold_rule": "fpr=0.05"}}),
        ("preprocessing.fractions={train: 0.6, val: 0.2, test: 0.2}",
         {"preprocessing": {"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}}}),
        ("preprocessing.crop={top: 0.1, pad: true}, seed=1",
         {"preprocessing": {"crop": {"top": 0.1, "pad": True}}, "seed": 1}),
        ("preprocessing.crop=null", {"preprocessing": {"crop": None}}),
        ("ingestion.labels={'no': normal, \"a, b\": x}",
         {"ingestion": {"labels": {"no": "normal", "a, b": "x"}}}),
        ('ingestion.separator=","', {"ingestion": {"separator": ","}}),
        ("ingestion.separator=|", {"ingestion": {"separator": "|"}}),
        ("lr=1e-3", {"lr": 0.001}),
        ("dcgan.model.lr=0.1,dcgan.model.width=8", {"dcgan": {"model": {"lr": 0.1, "width": 8}}}),
        ("seed='1'", {"seed": "1"}),
        ("seed=1,", {"seed": 1}),
        ("flag=bloodmnist, preprocessing.size=28", {"flag": "bloodmnist", "preprocessing": {"size": 28}}),
        ("", {}),
        (" , ", {}),
    ],
)  # fmt: skip
def test_lists_mappings_numbers_and_nested_names(text: str, meant: dict[str, Any]) -> None:
    assert given_parameters(text) == meant
    assert given_parameters(written(meant)) == meant


@pytest.mark.parametrize("path", [*PATHS, "a,b=c", "a,scale=smoke"])
def test_what_is_written_into_a_command_is_read_back(path: str) -> None:
    given = {"source": path, "preprocessing": {"size": 28}, "note": path, "seed": 0, "masks": "m"}
    if "'" in path and '"' in path:
        return
    assert given_parameters(written(given)) == given


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source=", r"source= has no value: give source=VALUE"),
        ("source= ,seed=1", r"source= has no value"),
        ("source='',seed=1", r"source= has no value"),
        ("seed=1,source=", r"source= has no value"),
        ("seed", r"--params has `seed`: give NAME=VALUE"),
        ("=1", r"--params has `=1`: give NAME=VALUE"),
        ("a..b=1", r"give NAME=VALUE"),
        ("seed=1,scale", r"`seed=1,scale`: give NAME=VALUE.*list in brackets"),
        ("augmentation.allowed=rotation,translation", r"list in brackets, NAME=\[a, b\]"),
        ("augmentation.allowed=[rotation,scale=smoke", r"where a bracket stays open"),
        ("augmentation.allowed=[a: b: c]", r"which is no YAML"),
        ("seed=1,seed=2", r"has `seed` and `seed`: give one value"),
        ("dcgan.model.width=1,dcgan={model: 1}", r"has `dcgan` and `dcgan.model.width`"),
        ("source=${HOME}", r"cannot hold"),
    ],
)
def test_what_does_not_work_is_refused_with_the_way_that_does(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        given_parameters(text)
    assert "\n" not in str(refused.value)


def test_every_parameter_that_is_free_text_stays_text() -> None:
    kinds = sections()
    optional = {name for name, kind in leaves(_tree(kinds)) if kind in (str, str | None)}
    chosen = {
        "classifier",
        "preprocessing.intensity",
        "preprocessing.split",
        "preprocessing.on_leak",
    }
    chosen |= {f"evaluation.{name}" for name in ("threshold_rule", "patient_score", "volume_score")}
    spaces = {f"synthesis.spaces.{name}" for name in LAYOUTS}
    plain = {name for name in optional - chosen if not name.endswith(TEXT_OF_A_MODEL)} | spaces
    assert plain == TEXT - {"flag", "normal", "set"}, "new free text belongs into TEXT"
    assert all(map(is_text, optional - chosen))


def _tree(kinds: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    found = _keys_at(kinds, list(path))
    return {
        name: _tree(kinds, (*path, name)) if _keys_at(kinds, [*path, name]) else kind
        for name, kind in found.items()
    }
