"""Write the environment of a data set that `sources.recognition` has looked at."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment as Templates
from jinja2 import PackageLoader

from medgan.errors import UserError
from medgan.files.atomic import new_folder
from medgan.files.documents import to_json
from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.project.loader import LOCAL, environment_of, require_name
from medgan.sources.folder import FolderSource
from medgan.sources.recognition import Recognition

TEMPLATE = "new_environment.yml.j2"
LARGE = 64
"""Side from which the budgets of conf/base take hours on two cores."""
FEW = 1000
"""Images below which the budgets decrease, by the root of their number: of fewer images a model sees
each one more often than of many."""
RESERVED = ("base", LOCAL)
MARK = "# Written by `medgan init`"
"""How the parameters of such an environment begin."""


class _Dumper(yaml.SafeDumper):
    """Quote a text such as 1e3, which OmegaConf reads as a number, and PyYAML does not."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[\d.]+[eE][-+]?\d+$"), list("-+.0123456789")
)


def written_environments(conf: Path) -> list[str]:
    """Return the environments that `write_environment` has written, in alphabetical order."""
    found = sorted(conf.glob("*/parameters.yml"))
    return [path.parent.name for path in found if path.read_bytes().startswith(MARK.encode())]


def require_free_name(conf: Path, name: str) -> None:
    """Raise `UserError` for a name that is no folder name, or that is taken."""
    require_name(name)
    if not conf.is_dir():
        raise UserError(f"{conf.parent} is not a medgan project: it has no folder conf/.")
    taken = environment_of(conf, name)
    if name in RESERVED or (conf / name).exists() or taken:
        folder = taken[0] if taken else name
        raise UserError(f"conf/{folder} exists already: choose another name, or delete it first.")


def environment_files(name: str, found: Recognition) -> dict[str, str]:
    """Return file name -> text of the three files of conf/NAME.

    Raises:
        UserError: it is not known which label is normal, or a value is out of its range.
    """
    found.require_normal()
    if "${" in json.dumps([asdict(found.source), dict(found.meaning)], default=str):
        raise UserError("A name, label or pattern has `${`, a reference in conf/: rename it.")
    ingestion = IngestionConfig(labels=dict(found.meaning), separator=found.separator)
    preprocessing = PreprocessingConfig(size=found.size, channels=found.channels)
    parameters = {
        "ingestion": {"labels": ingestion.labels}
        | ({"separator": found.separator} if found.separator else {}),
        "preprocessing": {"size": preprocessing.size, "channels": preprocessing.channels},
    }
    template = Templates(
        loader=PackageLoader("medgan.project", "."),
        autoescape=False,  # noqa: S701  # YAML, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(TEMPLATE)
    share = min(1.0, math.sqrt(found.n_images / FEW))
    text = template.render(
        mark=MARK,
        sections=_yaml(parameters),
        parts=found.parts,
        large=preprocessing.size >= LARGE,
        images=found.n_images,
        steps=lambda most: max(10, 10 * round(share * most / 10)),
    )
    return {
        "globals.yml": _yaml({"dataset": name}),
        "catalog.yml": _yaml({"source": _entry(found)}),
        "parameters.yml": text,
    }


def write_environment(conf: Path, name: str, found: Recognition) -> Path:
    """Write conf/NAME, whole or not at all; return the folder.

    Raises:
        UserError: the name is taken, or as `environment_files`.
    """
    require_free_name(conf, name)
    texts = environment_files(name, found)
    with new_folder(conf / name) as folder:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    return conf / name


def _yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _entry(found: Recognition) -> dict[str, Any]:
    """Return the catalog entry of the source: what differs from the defaults of its kind."""
    changed = to_json(found.source)
    return {
        "type": "medgan.datasets.images.ImageSourceDataset",
        "kind": "folder" if isinstance(found.source, FolderSource) else "csv",
        "location": f"${{runtime_params:source, {_quoted(changed.pop('path'))}}}",
        **changed,
    }


def _quoted(path: str) -> str:
    """Quote a path for OmegaConf. Raises `UserError` for one that it would read as another."""
    if "\\" in path or "\n" in path:
        raise UserError(f"The name of the folder {path!r} cannot stand in conf/: rename it.")
    return "'" + path.replace("'", "\\'") + "'"
