"""The study: one document that says which data, venues, strategy, risk, sweep and live setup."""

from workbench.study.datasets import (
    DatabentoData,
    DataSpec,
    ExchangeData,
    FileData,
    Instrument,
    SampleData,
    TardisData,
)
from workbench.study.differences import Change, diff
from workbench.study.document import Live, Risk, Strategy, Study, Sweep, Venue
from workbench.study.load import load, loads, schema
from workbench.study.store import StudyStore, Version

__all__ = [
    "Change",
    "DataSpec",
    "DatabentoData",
    "ExchangeData",
    "FileData",
    "Instrument",
    "Live",
    "Risk",
    "SampleData",
    "Strategy",
    "Study",
    "StudyStore",
    "Sweep",
    "TardisData",
    "Venue",
    "Version",
    "diff",
    "load",
    "loads",
    "schema",
]
