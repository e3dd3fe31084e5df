"""What Grafana puts into a query before Prometheus sees it."""

import re

INTERVALS = {"__rate_interval": "1m", "__range": "5m"}


def filled(expr: str, **chosen: str) -> str:
    """Fill in the variables of a query: built-in ones, `by`, and `.*` for all that filter.

    Args:
        expr: PromQL with variables.
        chosen: Values in the place of these.
    """
    values = {**INTERVALS, "by": "service", **chosen}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ".*"), expr)
