"""`kedro run`, with errors that a user can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from medgan.cli.options import project_root_here


def _run_command() -> click.Command:
    """Kedro's `run`, with endings that a user can read."""
    from kedro.framework.cli.project import run

    if run.callback is None:
        raise RuntimeError("Kedro's run command has no callback")
    return click.Command("run", callback=_readable(run.callback), params=run.params, help=run.help)


def _readable(callback: Callable[..., Any]) -> Callable[..., Any]:
    def run(**options: Any) -> Any:
        from medgan.cli.errors import one_sentence

        with one_sentence():
            _known_environment(options)
            return callback(**_named_pipelines(options))

    return run


def _known_environment(options: dict[str, Any]) -> None:
    """Refuses an environment without a folder in the project's conf/."""
    from medgan.project.environment import require_environment

    env = options["env"]
    if env is not None and options["conf_source"] is None:
        require_environment(project_root_here() / "conf", env)


def _named_pipelines(options: dict[str, Any]) -> dict[str, Any]:
    """`--pipeline` as `--pipelines`, the only one that Kedro will keep; a name that nobody
    registered is refused.
    """
    from kedro.framework.project import pipelines

    from medgan.errors import unknown

    one, several = options["pipeline"], options["pipelines"]
    if one and several:
        raise click.UsageError("Use --pipeline or --pipelines, not both.")
    names = [one] if one else list(several)
    wrong = next((name for name in names if name not in pipelines), None)
    if wrong is not None:
        raise unknown("pipeline", wrong, [name for name in pipelines if name != "__default__"])
    return {**options, "pipeline": None, "pipelines": names}
