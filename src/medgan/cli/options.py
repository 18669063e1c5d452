"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medgan.cli.errors import STDOUT
from medgan.files.names import printable

if TYPE_CHECKING:
    from medgan.project.environment import Environment

Function = TypeVar("Function", bound=Callable[..., Any])


def dataset_options(command: Function) -> Function:
    """Add `--env` and `--params`, which choose the data set; `chosen` reads them."""
    return _choosing("Default: the embedded phantoms.")(command)


def model_options(command: Function) -> Function:
    """Add `--env` and `--params` to a command that finds the data set by the model."""
    return _choosing("Default: the only one that the model was trained on.")(command)


def _choosing(default: str) -> Callable[[Function], Function]:
    env = click.option(
        "--env",
        "-e",
        envvar="KEDRO_ENV",
        help=f"The data set: an environment of conf/. {default}",
    )
    params = click.option(
        "--params",
        default="",
        help="What `kedro run --params` was given to choose the data set, such as "
        "flag=bloodmnist,size=28.",
    )
    return lambda command: env(params(command))


def json_option(help_text: str) -> Callable[[Function], Function]:
    """Add `--json`, the first argument of `print_result`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def output_option(help_text: str) -> Callable[[Function], Function]:
    """Add `--output`, which is required."""
    where = click.Path(path_type=Path)
    return click.option("--output", "-o", required=True, type=where, help=help_text)


def print_result(as_json: bool, document: Callable[[], object], text: Callable[[int], str]) -> None:
    """Print a document on the standard output, which `UserCommand` keeps free of all else, or the
    text for a terminal of so many columns; make only the one that is printed.
    """
    if not as_json:
        click.echo(printable(text(terminal_width())))
        return
    from medgan.files.documents import to_json

    written = json.dumps(to_json(document()), indent=1, allow_nan=False)
    click.echo(written, file=click.get_current_context().meta[STDOUT])


def terminal_width() -> int:
    """Columns of the terminal, at most 100."""
    from medgan.progress import columns

    return columns()


def chosen(env: str | None, params: str) -> Environment:
    """The environment of the project that the working directory is in.

    Raises:
        UserError: there is no such environment, or `params` are not NAME=VALUE pairs.
    """
    from medgan.project.environment import Environment, require_environment
    from medgan.project.given import given_parameters

    conf = project_root_here() / "conf"
    if env is not None:
        require_environment(conf, env)
    return Environment(conf, env, given_parameters(params))


def project_root_here() -> Path:
    """The project that the working directory is in."""
    from kedro.utils import find_kedro_project

    try:
        root = find_kedro_project(Path.cwd())
    except FileNotFoundError:  # it was deleted
        root = None
    if root is None:
        raise click.ClickException(
            "This folder is not inside a medgan project: go to the folder that holds "
            "pyproject.toml and conf/."
        )
    return Path(root)
