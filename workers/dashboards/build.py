"""All dashboards for one config, as the files that Grafana is given."""

import json

from schemas.config import Config

from .cost import cost_dashboard
from .judges import JUDGES
from .panels import Dashboard, render
from .pipeline import PIPELINE
from .quality import QUALITY


def dashboards(config: Config) -> dict[str, Dashboard]:
    """The dashboards by the word that the alerts' template has for them."""
    return {
        "quality": QUALITY,
        "cost": cost_dashboard(config.cost.group_by.name),
        "pipeline": PIPELINE,
        "judges": JUDGES,
    }


def contents(config: Config) -> dict[str, str]:
    """What is written for a config: each file's text, by its name."""
    return {
        f"{name}.json": json.dumps(render(dashboard), indent=2, ensure_ascii=False) + "\n"
        for name, dashboard in dashboards(config).items()
    }
