"""Finds evaluators by name among what is installed, and builds the ones that a config names.

Built-ins come through the same entry points as plugins. Nothing is imported to list them. What
cannot be loaded is an error, not a warning: an evaluator that is silently absent looks like safety.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from schemas.errors import AssayError, PluginError

from .contract import Evaluator, Settings
from .facts import faults_of

GROUP = "assay.evaluators"
"""Entry-point group: `name = "package.module:Class"`."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An evaluator that an installed distribution offers.

    Attributes:
        name: What a config calls it.
        distribution: Name of the distribution.
        version: Its version.
        value: Where the class is, such as `acme.policy:Policy`.
    """

    name: str
    distribution: str
    version: str
    value: str


def available() -> list[Offer]:
    """All evaluators that are installed, by name; imports none of them."""
    return sorted(
        {_offer(entry) for entry in entry_points(group=GROUP)},
        key=lambda offer: (offer.name, offer.distribution),
    )


def load(settings: Settings) -> Evaluator:
    """Build the evaluator that a config names: its rubric file's, or an installed one.

    Raises:
        PluginError: It is not installed, two distributions offer it, or it cannot be imported or
            built; the message has the distribution and its version.
        ConfigError: Its rubric file is wrong.
    """
    if settings.rubric is not None:
        from .rubric import file_rubric  # noqa: PLC0415  pydantic and YAML only where needed

        where = f'evaluator "{settings.name}"'
        built = _guarded(lambda: file_rubric(settings), where, settings.name)
        return _declared(built, where, settings.name)
    entry = _find(settings.installed_as)
    offer = _offer(entry)
    where = f'evaluator "{settings.name}" of {_label(offer)}'
    factory = _guarded(entry.load, f"{where} ({offer.value})", settings.name, offer)
    built = _guarded(lambda: factory(settings), where, settings.name, offer)
    return _declared(built, where, settings.name, offer)


def _find(name: str) -> EntryPoint:
    entries = {_offer(entry): entry for entry in entry_points(group=GROUP, name=name)}
    if len(entries) > 1:
        labels = " and ".join(sorted(_label(offer) for offer in entries))
        raise PluginError(
            f'evaluator "{name}" is offered by {labels}; uninstall all but one of them',
            evaluator=name,
            distribution=labels,
        )
    for entry in entries.values():
        return entry
    names = [offer.name for offer in available()]
    close = get_close_matches(name, names, n=1)
    lists = "assay evaluators lists all"
    hint = f'did you mean "{close[0]}"? ({lists})' if close else lists
    raise PluginError(f'unknown evaluator "{name}"; {hint}', evaluator=name)


def _guarded(make: Callable[[], Any], where: str, name: str, offer: Offer | None = None) -> Any:
    """Run code that may be a plugin's; whatever it raises becomes one clear error."""
    distribution = _label(offer) if offer else None
    try:
        return make()
    except AssayError:
        raise
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"{where} cannot be imported: {_fault(error)}; install what it needs or upgrade it",
            evaluator=name,
            distribution=distribution,
        ) from error
    except ValueError as error:
        raise PluginError(
            f"{where}: {_fault(error)}", evaluator=name, distribution=distribution
        ) from error
    # Importing and constructing is a stranger's code. It is raised on, with its coordinates.
    except Exception as error:
        raise PluginError(
            f"{where} raised {type(error).__name__}: {_fault(error)}; report it to its authors",
            evaluator=name,
            distribution=distribution,
        ) from error


def _declared(evaluator: Any, where: str, name: str, offer: Offer | None = None) -> Evaluator:
    """Check the declared facts, so that a plugin's mistake shows at start and not in a score."""
    faults = faults_of(evaluator)
    if faults:
        raise PluginError(
            f"{where}: {'; '.join(faults)}",
            evaluator=name,
            distribution=_label(offer) if offer else None,
        )
    found: Evaluator = evaluator
    return found


def _offer(entry: EntryPoint) -> Offer:
    distribution = entry.dist
    name = distribution.name if distribution else "unknown"
    version = distribution.version if distribution else "unknown"
    return Offer(entry.name, name, version, entry.value)


def _label(offer: Offer) -> str:
    return f"{offer.distribution} {offer.version}"


def _fault(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
