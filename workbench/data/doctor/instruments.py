"""What the catalog says of its instruments, as the doctor needs it to judge their rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from workbench.core.project import Project
from workbench.data.doctor.findings import Finding, finding
from workbench.engine.catalog import INSTRUMENT_FOLDERS

# Spreads, and futures on what costs money to store, have been traded below zero.
_ABOVE_ZERO = {
    "crypto_future", "crypto_perpetual", "currency_pair", "equity", "perpetual_contract",
    "tokenized_asset",
}  # fmt: skip
_LEGACY = "an instrument of NautilusTrader 1.x: the engine refuses to read any instrument beside it"


@dataclass(frozen=True, slots=True)
class Known:
    """One instrument.

    Attributes
    ----------
    type
        The engine's folder of it, such as ``equity``.
    precisions
        Decimals of its prices and sizes.
    increments
        The smallest step of its price and of its size.

    """

    type: str
    precisions: tuple[int, int]
    increments: tuple[Decimal, Decimal]

    @property
    def above_zero(self) -> bool:
        """Whether its price is always above zero."""
        return self.type in _ABOVE_ZERO


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of a catalog.

    Attributes
    ----------
    known
        By id.
    findings
        What is wrong with their files.
    broken
        Files that cannot be used: they go to the quarantine.
    legacy
        Files of NautilusTrader 1.x.

    """

    known: dict[str, Known]
    findings: tuple[Finding, ...]
    broken: tuple[Path, ...]
    legacy: tuple[Path, ...]


def read_instruments(project: Project) -> Instruments:
    """Read every instrument of the project's catalog, whoever wrote it."""
    import pyarrow as pa

    known: dict[str, Known] = {}
    findings: list[Finding] = []
    broken, legacy = [], []
    for folder in INSTRUMENT_FOLDERS:
        for path in sorted((project.catalog / "data" / folder).glob("*/*.parquet")):
            name = project.relative(path)
            try:
                if _is_legacy(path):
                    legacy.append(path)
                    repair = "converted; the old file is kept for the undo"
                    findings.append(finding("legacy", _LEGACY, file=name, repair=repair))
                    continue
                known |= _read(path, folder)
            except FileNotFoundError:
                continue  # replaced meanwhile
            except (pa.ArrowException, OSError, KeyError, ValueError, ArithmeticError) as error:
                broken.append(path)
                message = f"cannot be read: {str(error).splitlines()[0]}"
                repair = "moved to the quarantine; the next fetch writes it anew"
                findings.append(finding("instrument", message, file=name, repair=repair))
    return Instruments(known, tuple(findings), tuple(broken), tuple(legacy))


def _is_legacy(path: Path) -> bool:
    """Whether 1.x wrote the file: it named the class, and wrote ids as a dictionary."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    return b"class" in (schema.metadata or {}) or pa.types.is_dictionary(schema.field("id").type)


def _read(path: Path, folder: str) -> dict[str, Known]:
    import pyarrow.parquet as pq

    names = ("id", "price_precision", "size_precision", "price_increment", "size_increment")
    there = [name for name in names if name in pq.read_schema(path).names]
    rows = pq.read_table(
        path, columns=there, use_threads=False, page_checksum_verification=True
    ).to_pylist()
    found = {}
    for row in rows:
        precisions = row["price_precision"], row.get("size_precision", 0)
        units = [Decimal(1).scaleb(-precision) for precision in precisions]
        price, size = row.get("price_increment", units[0]), row.get("size_increment", units[1])
        found[row["id"]] = Known(folder, precisions, (Decimal(price), Decimal(size)))
    return found
