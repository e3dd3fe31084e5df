"""Evaluators in processes of their own: `evaluators.<name>.isolate: process`.

    engine → evaluator.py → pool.py → process.py ═ socket ═ child.py → the plugin's `evaluate`

The plugin is imported, built and run in the child only. What the child sends is data, never code.
"""
