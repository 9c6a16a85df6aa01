"""The base of every part of a study."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of every part of a study: frozen, no unknown keys."""

    # A part is only ever read inside a study: one validator is built, not twenty.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
