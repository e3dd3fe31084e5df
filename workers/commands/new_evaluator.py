"""`assay evaluators new`: a plugin package or a rubric file to start from, which works as it is."""

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from evaluators.registry import available
from schemas.config_file import RESERVED_EVALUATORS
from schemas.errors import ConfigError

from .written import write

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_RUBRIC = "rubric.yaml"


def run(name: str, folder: Path, *, is_rubric: bool) -> None:
    """Write the package into `folder`/`name`, or the rubric to `folder`/`name`.yaml.

    Raises:
        ConfigError: The name will not do, or something stands in the way.
        NotWritten: A file cannot be written.
    """
    _check(name)
    values = {
        "name": name,
        "class_name": "".join(word.title() for word in name.split("_")),
        "distribution": f"{name.strip('_').replace('_', '-')}-evaluator",
        "module": f"{name}_evaluator",
    }
    target = folder / (f"{name}.yaml" if is_rubric else name)
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target}: exists; take another name, or another folder with --dir")
    if is_rubric:
        contents = {target: _RUBRIC}
    else:
        contents = {target / path: template for path, template in _package(values).items()}
    for path, template in contents.items():
        print(write(path, _filled(template, values), "--dir"))  # noqa: T201  the command's own output


def _package(values: Mapping[str, str]) -> dict[str, str]:
    """The package's files, and the template of each."""
    return {
        "pyproject.toml": "pyproject.toml",
        f"{values['module']}.py": "evaluator.py",
        f"tests/test_{values['name']}.py": "test.py",
        "README.md": "README.md",
        "assay.yaml": "assay.yaml",
        "span.json": "span.json",
    }


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f'evaluator name "{name}": should be 1 to 48 lower-case letters, digits and "_", '
            "beginning with a letter, and no word of Python's; such as brand_voice"
        )
    if name in RESERVED_EVALUATORS:
        raise ConfigError(f'evaluator name "{name}" is reserved; choose another')
    for offer in available():
        if offer.name == name:
            raise ConfigError(
                f'evaluator name "{name}": {offer.distribution} {offer.version} offers it already; '
                "take another (assay evaluators lists all)"
            )


def _filled(template: str, values: Mapping[str, str]) -> str:
    # Not named .py or .toml: no tool may take the template for what it becomes.
    source = files("workers") / "templates" / "plugin" / f"{template}.txt"
    return Template(source.read_text(encoding="utf-8")).substitute(values)
