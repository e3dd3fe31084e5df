"""`assay evaluators`: what is installed, without importing any of it."""

from evaluators.registry import available

from .common import cell, print_json
from .tables import print_table, table_of


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
    table = table_of("evaluator", "distribution", "object")
    for offer in offers:
        table.add_row(
            cell(offer.name), cell(f"{offer.distribution} {offer.version}"), cell(offer.value)
        )
    print_table(table)
