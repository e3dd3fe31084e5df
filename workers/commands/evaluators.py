"""`assay evaluators`: what is installed, without importing any of it."""

from rich.console import Console
from rich.table import Column, Table

from evaluators.registry import available

from .common import cell, print_json


def run(*, as_lines: bool) -> None:
    """List every evaluator that an installed distribution offers."""
    offers = available()
    if as_lines:
        print_json(
            {
                "name": offer.name,
                "distribution": offer.distribution,
                "version": offer.version,
                "object": offer.value,
            }
            for offer in offers
        )
        return
    table = Table("evaluator", "distribution", Column("object", overflow="fold"))
    for offer in offers:
        table.add_row(
            cell(offer.name), cell(f"{offer.distribution} {offer.version}"), cell(offer.value)
        )
    Console().print(table)
