"""Stored studies: every version kept, written whole, compared line by line."""


class StudyStore:
    """Placeholder until written."""
