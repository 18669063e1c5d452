"""Hooks for each session: a program may run several sessions, one after the other or in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl


class SessionHooks:
    """Give every session its own hooks, which keep the state of one run.

    Kedro registers the objects of `settings.HOOKS` in all sessions of a process.

    Args:
        kinds: the classes of the hooks; each has a hook `after_context_created`.
    """

    def __init__(self, *kinds: Callable[[], Any]) -> None:
        self._kinds = kinds

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Make the hooks of a session, and of a context that a session makes anew."""
        manager = context._hook_manager
        for kind in self._kinds:
            name = f"medgan {kind.__name__}"
            if manager.has_plugin(name):
                manager.unregister(name=name)
            hooks = kind()
            manager.register(hooks, name)
            hooks.after_context_created(context)
