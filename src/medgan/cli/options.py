"""Options and places that several commands share."""

from __future__ import annotations

from pathlib import Path

import click


def project_root_here() -> Path:
    """The project that the working directory is in."""
    from kedro.utils import find_kedro_project

    root = find_kedro_project(Path.cwd())
    if root is None:
        raise click.ClickException(
            "This folder is not inside a medgan project: go to the folder that holds pyproject.toml and conf/."
        )
    return Path(root)


def _dataset(root: Path, env: str | None, params: str) -> str:
    """The name of an environment's data set, as its globals.yml gives it."""
    from medgan.project.environment import Environment, given_parameters, require_environment

    if env is not None:
        require_environment(root / "conf", env)
    return Environment(root / "conf", env, given_parameters(params)).dataset()
