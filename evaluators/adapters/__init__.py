"""Metrics of other libraries as evaluators; each is imported only where a config names it."""
