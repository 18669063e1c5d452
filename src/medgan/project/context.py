"""Kedro's context, with typed parameters."""

from __future__ import annotations

from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext

from medgan.errors import UserError
from medgan.project.parameters import sections, typed


class MedganContext(KedroContext):
    """Every way into the project - runs, kedro-viz, notebooks - sees the same parameters, checked
    and typed.

    Kedro's own typed parameters are left out: they fill dataclasses from the outside in, nested
    ones stay dictionaries, and they do not know scales.
    """

    _typed: dict[str, Any] | None = None

    @property
    def params(self) -> dict[str, Any]:
        """The sections by name, each as its dataclass.

        Raises:
            UserError: a key or a value that no section knows.
        """
        if self._typed is None:
            self._typed = typed(self._raw(), sections())
        return self._typed

    def _raw(self) -> dict[str, Any]:
        try:
            parameters: dict[str, Any] = self.config_loader["parameters"]
        except MissingConfigException as error:
            raise UserError(
                f"conf: there are no parameters for this environment ({error})."
            ) from error
        except ValueError as error:  # one key in two files
            raise UserError(
                f"conf: {' '.join(str(error).split())}: keep it in one of them."
            ) from error
        return parameters
