"""What `assay dashboards` writes: Grafana's dashboards, as code.

`panels.py` has the parts and how they become JSON, the other modules a dashboard each. The alerts'
links (`workers/rules/alerts.py`) open these, by uid, variable and panel.
"""
