"""What `assay rules` writes: Prometheus rules for one config, and promtool tests of them.

`records.py` has the statistic of `workers/signals.py` in PromQL, `alerts.py` what is alerted on,
`document.py` the file's shape, `tests.py` the scenarios that show each alert firing and silent.
"""
