"""Judge evaluators that need more than a rubric."""
