"""Reads `assay.yaml`: one clear message for whatever is wrong with it, and no half-read config.

The order is: YAML, `${NAME}` from the environment (in values that are text already, so that no
variable can add YAML), the models, references between sections, and
last the files that the config names.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .calibration import read_calibration
from .config import Config, EvaluatorConfig, JudgeConfig, KafkaConfig
from .config_values import PATTERNS
from .errors import ConfigError
from .wording import fault_of
from .yaml_file import Document, Location, dotted, read_text, read_yaml

RESERVED_EVALUATORS = frozenset({"cost", "latency"})
"""Names that metrics and rules use for themselves: every LLM call is scored by both."""
_OF_THE_LOADER = frozenset({"rubric_text", "folder", "calibrated"})
"""Fields of an evaluator's settings that are no keys of the file."""
_HIDDEN = frozenset({"api_key", "client", "headers", "query", "proxy", "options"})
"""Keys whose values no message repeats."""

_USER = re.compile(r"(?<=//)[^/\s]*@")
"""User and password in an address."""
_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_BARE_VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load(path: Path, environ: Mapping[str, str], known_evaluators: Collection[str]) -> Config:
    """Read and check a config, with everything that can be checked without a network.

    Args:
        path: The file; relative paths in it start at its folder.
        environ: Where `${NAME}` is looked up.
        known_evaluators: Names of the installed evaluators; rubric files in the config add theirs.

    Returns:
        The config, keys and rubrics read from the files that it names, paths resolved.

    Raises:
        ConfigError: The file, a value, a variable or a file that it names is missing or wrong; the
            message has file, line and key.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise document.error("should be a mapping that begins with kafka: and routes:", ())
    data = _substituted(document.data, (), document, environ)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _config_error(error, document) from None
    _check_references(config, document, known_evaluators)
    return _with_files(config, document)


def located(error: ConfigError, path: Path) -> ConfigError:
    """The same error with file and line, for a fault that showed only when parts were built.

    Args:
        error: An error that has the `key` it is about.
        path: The file that the config was read from.

    Returns:
        An error that begins with `path` and the key's line; without a line, where the file does not
        set the key.
    """
    document = read_yaml(path)
    locations = (location for location in document.lines if dotted(location) == error.key)
    line = next((document.lines[location] for location in locations), None)
    return ConfigError(str(error), path=path, line=line, key=error.key)


def _substituted(
    value: Any, location: Location, document: Document, environ: Mapping[str, str]
) -> Any:
    if isinstance(value, dict):
        return {
            key: _substituted(item, (*location, key), document, environ)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(item, (*location, index), document, environ)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    if _BARE_VARIABLE.fullmatch(value):
        fault = "is a variable without braces; write ${NAME}, or $$ for a dollar sign"
        raise document.error(f"{dotted(location)} {fault}", location)

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if not match[2] or not _VARIABLE_NAME.fullmatch(name):
            fault = "names no environment variable; write ${NAME}, or $$ for a dollar sign"
            raise document.error(f'{dotted(location)}: "${{" {fault}', location)
        if name not in environ:
            fault = f"environment variable {name} is not set; export it"
            raise document.error(f"{dotted(location)}: {fault}", location)
        return environ[name]

    found = _VARIABLE.sub(variable, value)
    if value and not found:
        raise document.error(f"{dotted(location)}: {value} is empty; set it", location)
    return found


def _config_error(error: ValidationError, document: Document) -> ConfigError:
    """The one message for what pydantic found: unknown keys first, then by line."""

    def rank(details: ErrorDetails) -> tuple[bool, int]:
        line = document.error("", _location(details)).line
        return details["type"] != "extra_forbidden", line or 0

    found = error.errors(include_url=False)
    # A list with one bad entry is also reported as too short: the entry is what is wrong.
    leaves = [details for details in found if not _has_deeper(details, found)]
    details = min(leaves, key=rank)
    location = _location(details)
    if details["type"] == "extra_forbidden":
        message = _unknown_key(location)
    else:
        message = f"{dotted(location)} {_fault(details, document)}"
    return document.error(message, location)


def _has_deeper(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    location = details["loc"]
    depth = len(location)
    return any(len(other["loc"]) > depth and other["loc"][:depth] == location for other in found)


def _location(details: ErrorDetails) -> Location:
    # Pydantic marks a faulty key of a mapping by a last part "[key]".
    location = details["loc"]
    return location[:-1] if location and location[-1] == "[key]" else location


def _fault(details: ErrorDetails, document: Document) -> str:
    kind, location = details["type"], _location(details)
    if kind in ("model_type", "dict_type", "tuple_type") and details["input"] is None:
        remedy = "write {} for the defaults" if kind == "model_type" else "give it a value"
        return f"is empty; {remedy} or remove the key"
    fault = fault_of(details, PATTERNS)
    text = document.texts.get(location)
    if kind in ("value_error", "missing") or text is None or _HIDDEN.intersection(location):
        return fault
    expected, semicolon, remedy = fault.partition(";")
    return f'{expected}, not "{_USER.sub("", text)[:60]}"{semicolon}{remedy}'


def _unknown_key(location: Location) -> str:
    *parents, name = location
    valid = _keys_at(tuple(parents))
    where = f" in {dotted(tuple(parents))}" if parents else ""
    return f'unknown key "{name}"{where}; {_suggestion(str(name), valid)}'


def _suggestion(name: str, valid: Iterable[str]) -> str:
    valid = sorted(valid)
    close = get_close_matches(name, valid, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"there is {', '.join(valid)}" if valid else "there is none"


def _keys_at(location: Location) -> list[str]:
    """The valid keys of the section at `location`."""
    section: type[BaseModel] = Config
    parts = iter(location)
    for part in parts:
        annotation = _keys(section)[str(part)].annotation
        if get_origin(annotation) in (dict, tuple):
            next(parts)  # the name or index of the entry
        section = next(_sections_in(annotation))
    return [name for name in _keys(section) if name not in _OF_THE_LOADER]


def _keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


def _check_references(config: Config, document: Document, known: Collection[str]) -> None:
    own = {name for name, item in config.evaluators.items() if item.rubric or item.use}
    names = {*known, *own}
    for name, evaluator in config.evaluators.items():
        _check_evaluator(name, evaluator, config, document)
        if evaluator.use is not None and evaluator.use not in known:
            location: Location = ("evaluators", name, "use")
            raise _unknown_evaluator(evaluator.use, dotted(location), known, document, location)
        if name not in names:
            raise _unknown_evaluator(name, "evaluators", names, document, ("evaluators", name))
    first: dict[str, int] = {}
    for index, route in enumerate(config.routes):
        if route.name in first:
            raise document.error(
                f'routes[{index}].name "{route.name}" is taken by routes[{first[route.name]}]; '
                "give each route a name of its own",
                ("routes", index, "name"),
            )
        first[route.name] = index
        for place, name in enumerate(route.evaluators):
            location = ("routes", index, "evaluators", place)
            _check_name(name, document, location)
            if name not in names:
                where = f'route "{route.name}"'
                raise _unknown_evaluator(name, where, names, document, location)
    _check_budgets(config, document, first)


def _check_budgets(config: Config, document: Document, routes: Mapping[str, int]) -> None:
    first: dict[str, int] = {}
    for index, budget in enumerate(config.budgets):
        if budget.name in first:
            raise document.error(
                f'budgets[{index}].name "{budget.name}" is taken by budgets[{first[budget.name]}]; '
                "give each budget a name of its own",
                ("budgets", index, "name"),
            )
        first[budget.name] = index
        for place, name in enumerate(budget.routes or ()):
            if name not in routes:
                raise document.error(
                    f'unknown route "{name}" in budget "{budget.name}"; '
                    f"{_suggestion(name, routes)}",
                    ("budgets", index, "routes", place),
                )


def _check_evaluator(
    name: str, evaluator: EvaluatorConfig, config: Config, document: Document
) -> None:
    location: Location = ("evaluators", name)
    _check_name(name, document, location)
    for key in _OF_THE_LOADER & evaluator.model_fields_set:
        location = (*location, key)
        raise document.error(_unknown_key(location), location)
    named = {"judge": (evaluator.judge,), "verify": (evaluator.verify,), "jury": evaluator.jury}
    for key, judges in named.items():
        for judge in judges or ():
            if judge is not None and judge not in config.judges:
                raise document.error(
                    f'unknown judge "{judge}" in {dotted(location)}; '
                    f"{_suggestion(judge, config.judges)}",
                    (*location, key),
                )


def _check_name(name: str, document: Document, location: Location) -> None:
    if name in RESERVED_EVALUATORS:
        raise document.error(f'evaluator name "{name}" is reserved; choose another', location)


def _unknown_evaluator(
    name: str, where: str, names: Collection[str], document: Document, location: Location
) -> ConfigError:
    close = get_close_matches(name, sorted(names), n=1)
    hint = (
        f'did you mean "{close[0]}"? (assay evaluators lists all)'
        if close
        else ("assay evaluators lists all")
    )
    return document.error(f'unknown evaluator "{name}" in {where}; {hint}', location)


def _with_files(config: Config, document: Document) -> Config:
    """The config with its keys and rubrics read, and its paths resolved."""
    judges = {name: _with_key(judge, document, name) for name, judge in config.judges.items()}
    evaluators = {
        name: _with_folder(evaluator, document, name)
        for name, evaluator in config.evaluators.items()
    }
    kafka = _with_passwords(config.kafka, document)
    return config.model_copy(update={"judges": judges, "evaluators": evaluators, "kafka": kafka})


def _with_key(judge: JudgeConfig, document: Document, name: str) -> JudgeConfig:
    update: dict[str, Any] = {}
    if judge.api_key_file is not None:
        location = ("judges", name, "api_key_file")
        update["api_key_file"], text = _read_named(judge.api_key_file, document, location)
        update["api_key"] = SecretStr(_secret(text, document, location))
    if judge.ca_file is not None:
        location = ("judges", name, "ca_file")
        update["ca_file"], _ = _read_named(judge.ca_file, document, location)
    return judge.model_copy(update=update)


def _with_folder(evaluator: EvaluatorConfig, document: Document, name: str) -> EvaluatorConfig:
    update: dict[str, Any] = {"folder": document.path.parent}
    if evaluator.rubric is not None:
        location = ("evaluators", name, "rubric")
        update["rubric"], update["rubric_text"] = _read_named(evaluator.rubric, document, location)
    if evaluator.anchors is not None:
        place = ("evaluators", name, "anchors", "file")
        path, _ = _read_named(evaluator.anchors.file, document, place)
        update["anchors"] = evaluator.anchors.model_copy(update={"file": path})
    if evaluator.calibration is not None:
        location = ("evaluators", name, "calibration")
        path, text = _read_named(evaluator.calibration, document, location)
        try:
            record = read_calibration(text, path)
        except ConfigError as error:
            raise document.error(f"{dotted(location)}: file {error}", location) from error
        if record.evaluator != name:
            fault = f'is of the evaluator "{record.evaluator}"; make one of "{name}"'
            raise document.error(f"{dotted(location)} {fault}", location)
        update["calibration"], update["calibrated"] = path, record
    return evaluator.model_copy(update=update)


def _with_passwords(kafka: KafkaConfig, document: Document) -> KafkaConfig:
    client = {}
    for key, value in kafka.client.items():
        if not key.endswith("_file"):
            client[key] = value
            continue
        location, name = ("kafka", "client", key), key.removesuffix("_file")
        if name in kafka.client:
            raise document.error(
                f"kafka.client has both {name} and {key}; keep one of them", location
            )
        _, text = _read_named(Path(str(value)), document, location)
        client[name] = _secret(text, document, location)
    return kafka.model_copy(update={"client": client})


def _secret(text: str, document: Document, location: Location) -> str:
    if not text.strip():
        raise document.error(
            f"{dotted(location)} names an empty file; write the secret to it", location
        )
    return text.strip()


def _read_named(path: Path, document: Document, location: Location) -> tuple[Path, str]:
    """Read a file that the config names; a relative path starts at the config's folder."""
    path = document.path.parent / path
    try:
        return path, read_text(path)
    except ConfigError as error:
        raise document.error(f"{dotted(location)}: file {error}", location) from error
