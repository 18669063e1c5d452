"""The one configuration loader, for every command, notebook and kedro-viz."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from medgan.errors import UserError
from medgan.files.names import LONGEST, slug

LOCAL = "local"
"""The folder of conf/ for one person's settings and credentials. Git ignores it."""
LOADER_SETTINGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "base",
    "config_patterns": {"tracking": ["tracking*", "tracking*/**"]},
    "merge_strategy": {"parameters": "soft", "globals": "soft", "tracking": "soft"},
    "custom_resolvers": {"oc.env": oc.env},
}
"""Soft merging keeps the siblings of an overridden key. Catalog entries are replaced as a whole."""
_READING = threading.RLock()
"""Held while a loader reads: OmegaConf knows one resolver of a name in the whole process."""
_GIVEN = re.compile(r"\$\{given:(\w+)[^}]*\}")


class MedganConfigLoader(OmegaConfigLoader):
    """Merge conf/base, the environment and conf/local, in this order.

    Kedro reads conf/local only where no environment is named; here it counts in all of them.

    globals.yml may use `${given:NAME, default}`, the value of `--params NAME=...`. Kedro keeps
    runtime parameters out of globals, but the folders of a MedMNIST data set depend on the chosen
    set. Parameters that globals.yml uses are removed from `parameters`.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._used_by_globals: set[str] = set()
        self._given_values = runtime_params or {}
        with _READING:
            super().__init__(conf_source, env, runtime_params, **{**LOADER_SETTINGS, **settings})

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Load one type of configuration, such as `catalog` or `parameters`."""
        with _READING:
            OmegaConf.register_new_resolver("given", self._given, replace=True)
            self._register_globals_resolver()
            self._register_new_resolvers(self._custom_resolvers or {})
            found: dict[str, Any] = super().__getitem__(key) if key in self else self._read(key)
        if key == "globals":
            require_name(str(found.get("dataset", "project")), "globals.yml: ")
        if key != "parameters":
            return found
        return {name: value for name, value in found.items() if name not in self._used_by_globals}

    def _read(self, key: str) -> dict[str, Any]:
        try:
            found = super().__getitem__(key)
        except MissingConfigException:
            known = self.env is None or self._fs.isdir(self._get_conf_env_path(self.env))
            local = self._read_local(key)
            if known and local:
                return local
            raise
        merged: dict[str, Any] = self._merge_configs(found, self._read_local(key), key, LOCAL)
        return merged

    def _read_local(self, key: str) -> dict[str, Any]:
        folder, patterns = self._get_conf_env_path(LOCAL), self.config_patterns[key]
        if not self._fs.isdir(folder):
            return {}
        found: dict[str, Any] = self.load_and_merge_dir_config(
            folder, patterns, key, set(), key == "credentials"
        )
        return found

    def _given(self, name: str, default: Any = None) -> Any:
        self._used_by_globals.add(name)
        return self._given_values.get(name, default)


def require_name(dataset: str, where: str = "") -> None:
    """Raise `UserError` for a name of a data set that cannot be that of a folder.

    Args:
        dataset: the name.
        where: it stands, before the sentence.
    """
    if slug(dataset.casefold()) != dataset.casefold():
        raise UserError(
            f"{where}{dataset!r} is no name of a data set, which names folders below data/: "
            f"use at most {LONGEST} letters, digits, `-`, `_` and `.`, beginning with a letter or "
            "digit."
        )


def environment_of(conf: Path, dataset: str) -> tuple[str, Mapping[str, str]] | None:
    """The folder of `conf` whose globals.yml can give a data set this name, and the parameters with
    which it does; or None.
    """
    for path in sorted(conf.glob("*/globals.yml")):
        name = OmegaConf.to_container(OmegaConf.load(path), resolve=False).get("dataset", "")  # type: ignore[union-attr]
        pieces = _GIVEN.split(str(name))  # text, parameter, text, parameter, ..., text
        pattern = "".join(
            f"(?P<{piece}>[^_]+)" if place % 2 else re.escape(piece)
            for place, piece in enumerate(pieces)
        )
        match = re.fullmatch(pattern, dataset)
        if match:
            return path.parent.name, match.groupdict()
    return None
