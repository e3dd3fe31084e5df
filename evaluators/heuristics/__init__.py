"""Evaluators that need no judge."""
