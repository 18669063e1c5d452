"""Kedro's configuration loader, with globals that may depend on `--params`, and the way back from a
data set's name to its command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

LOADER_SETTINGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"tracking": ["tracking*", "tracking*/**"]},
    "merge_strategy": {"parameters": "soft", "globals": "soft", "tracking": "soft"},
    "custom_resolvers": {"oc.env": oc.env},
}
"""Soft merging: one key in an environment leaves its siblings of conf/base alone. Catalog entries
are replaced as a whole.
"""
_GIVEN = re.compile(r"\$\{given:(\w+)[^}]*\}")


class MedganConfigLoader(OmegaConfigLoader):
    """Resolves `${given:NAME, default}` in globals.yml by `--params NAME=...`.

    Kedro keeps `runtime_params` out of globals, and the folders of every data set hang on
    `globals:dataset`, which for MedMNIST depends on the set that is chosen. A parameter that an
    environment's globals take is theirs: everywhere else it stays an unknown key.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._taken: set[str] = set()
        given = runtime_params or {}

        def resolve(name: str, default: Any = None) -> Any:
            self._taken.add(name)
            return given.get(name, default)

        OmegaConf.register_new_resolver(
            "given", resolve, replace=True
        )  # Kedro keeps the first of a name, that of another run
        super().__init__(conf_source, env, runtime_params, **settings)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """The configuration of a kind; `parameters` are without what the globals have taken."""
        found = super().__getitem__(key)
        return (
            {name: value for name, value in found.items() if name not in self._taken}
            if key == "parameters"
            else found
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
