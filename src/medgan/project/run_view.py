"""What a run shows: a line for each pipeline that has ended, and a bar with the node that runs."""

from __future__ import annotations

import logging
import time
from collections import Counter

import click
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from medgan.progress import progress_bar

NODES = logging.getLogger("medgan.nodes")
"""A line for each node, at the level that `kedro run --verbose` shows."""
STATUS = "{desc} {n_fmt}/{total_fmt} [{elapsed}]{postfix}"
"""Without the time left: nodes take from milliseconds to hours."""


class RunView:
    """Show the progress of a run.

    Nodes of several pipelines alternate, so a pipeline is a line at its last node, with the sum of
    the times of its nodes.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._size = Counter(map(pipeline_of, pipeline.nodes))
        self._left, self._seconds = Counter(self._size), Counter[str]()
        self._count = 0
        self._node: Node | None = None
        self._bar = progress_bar(
            "run",
            "node",
            len(pipeline.nodes),
            bar_format=STATUS,
            disable=True if NODES.isEnabledFor(logging.DEBUG) else None,  # None: not a terminal
        )
        self._since = time.monotonic()
        for handler in logging.getLogger().handlers:
            handler.addFilter(self._make_room)

    def begin(self, node: Node) -> None:
        """Show the node that runs. The one before it has ended: a training goes on for long after
        Kedro's `after_node_run`.
        """
        self._end()
        self._node, self._since = node, time.monotonic()
        self._count += 1
        NODES.debug("%3d/%d  %s", self._count, self._size.total(), node.name)
        self._bar.set_postfix_str(node.name)

    def finish(self) -> None:
        """Write the last lines, and take the bar away."""
        self._end()
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        for handler in logging.getLogger().handlers:
            handler.removeFilter(self._make_room)
        self._bar.close()

    def _end(self) -> None:
        """Count the node, and write the line of its pipeline after the last one."""
        if self._node is None:
            return
        name, self._node = pipeline_of(self._node), None
        self._seconds[name] += round(time.monotonic() - self._since)
        self._left[name] -= 1
        self._bar.update()
        if not self._left[name]:
            minutes, seconds = divmod(self._seconds[name], 60)
            size = f"{self._size[name]} node{'' if self._size[name] == 1 else 's'}"
            with self._bar.external_write_mode():
                click.echo(f"{name:<24}{size:>10}{minutes:>6}:{seconds:02}")

    def _make_room(self, _: logging.LogRecord) -> bool:
        """Take the bar from the line of a message; the next node shows it again."""
        self._bar.clear()
        return True


def pipeline_of(node: Node) -> str:
    """The outer namespace of a node, or its own name."""
    return (node.namespace or node.name).partition(".")[0]
