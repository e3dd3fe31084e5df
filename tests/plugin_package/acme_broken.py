"""A plugin module whose own dependency is not installed."""

import acme_dependency_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401  on purpose
