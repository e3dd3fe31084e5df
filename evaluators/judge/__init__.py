"""The judge client: everything between a question and a verdict that may be trusted."""
