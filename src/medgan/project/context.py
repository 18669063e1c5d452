"""Kedro's context, with typed parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import KeyValidationError

from medgan.errors import UserError


class MedganContext(KedroContext):
    """Check and type the parameters for every way into the project: runs, kedro-viz, notebooks.

    Kedro's own typed parameters leave nested dataclasses as dictionaries and do not know scales.
    """

    @property
    def params(self) -> dict[str, Any]:
        """The sections by name, each as its dataclass.

        Raises:
            UserError: an unknown key or a wrong value.
        """
        return self._typed

    @classmethod
    def sections(cls) -> Mapping[str, Any]:
        """The type of every top-level parameter."""
        from medgan.project.parameters import sections

        return sections()

    @cached_property
    def _typed(self) -> dict[str, Any]:
        from medgan.project.parameters import check_given, typed

        found, kinds = self._raw(), self.sections()
        given = getattr(self.config_loader, "runtime_params", None) or {}
        check_given({key: found[key] for key in given if key in found}, kinds)
        return typed(found, kinds)

    def _raw(self) -> dict[str, Any]:
        try:
            parameters: dict[str, Any] = self.config_loader["parameters"]
        except MissingConfigException as error:
            raise UserError(
                f"conf: there are no parameters for this environment ({error})."
            ) from error
        except KeyValidationError as error:
            raise UserError(
                f"conf: a key of `{error.full_key}` is no text; put it in quotes, such as 'null' or "
                "'' for images without a label."
            ) from error
        except ValueError as error:  # one key in two files
            raise UserError(
                f"conf: {' '.join(str(error).split())}: keep it in one of them."
            ) from error
        return parameters
