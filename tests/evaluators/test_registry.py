"""The registry, tested with a plugin that is really built and installed."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from evaluators import Evaluator, Score, Settings, Subject, registry, testing
from schemas.errors import ConfigError, PluginError

_PLUGIN = Path(__file__).parent.parent / "plugin_package"
_BUILD = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the plugin is installed from its wheel."""
    dist, installed = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(dist)], cwd=_PLUGIN, check=True, capture_output=True
    )
    # A wheel of plain Python is installed by unpacking it.
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    return installed


@pytest.fixture
def _plugin(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(site)
    yield
    for name in ("acme_evaluators", "acme_broken"):
        sys.modules.pop(name, None)


def _distribution(site: Path, name: str, version: str, entry: str) -> None:
    """Write the metadata that an installer leaves of a distribution with one evaluator."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[assay.evaluators]\n{entry}\n")


@pytest.mark.usefixtures("_plugin")
class TestPlugin(testing.EvaluatorContract):
    """An installed plugin is found, configured, and held to the same contract as the built-ins."""

    def make(self) -> Evaluator:
        """Build it through its entry point."""
        return registry.load(Settings("acme_politeness", {"word": "tomorrow"}))

    def test_listing_names_the_distribution_and_imports_nothing(self) -> None:
        """`available` shows what is offered by whom, also where it could not be imported."""
        offers = {offer.name: offer for offer in registry.available()}
        broken = offers["acme_broken"]
        assert (broken.distribution, broken.version) == ("acme-evaluators", "2.5.0")
        assert broken.value == "acme_broken:Missing"
        assert offers["pii"].distribution == "assay"
        assert not {"acme_broken", "acme_evaluators"} & set(sys.modules)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("acme_broken", "cannot be imported: No module named 'acme_dependency"),
            ("acme_renamed", "cannot be imported"),
            ("acme_crashing", "RuntimeError: no licence"),
            (
                "acme_undeclared",
                r"version is not declared, .*; kind is not .* EvaluatorKind\.JUDGE",
            ),
        ],
    )
    def test_a_faulty_plugin_is_an_error_with_its_distribution(
        self, name: str, message: str
    ) -> None:
        """Whatever a plugin does wrong at start, the message says whose it is."""
        with pytest.raises(PluginError, match=message) as caught:
            registry.load(Settings(name))
        assert "acme-evaluators 2.5.0" in str(caught.value)
        assert caught.value.distribution == "acme-evaluators 2.5.0"
        assert caught.value.evaluator == name

    def test_bad_options_are_an_error(self) -> None:
        """What the constructor refuses is told with the plugin's name and version."""
        with pytest.raises(
            PluginError, match=r'"acme_politeness" of acme-evaluators 2\.5\.0: unknown'
        ):
            registry.load(Settings("acme_politeness", {"wrd": "x"}))

    def test_two_distributions_with_one_name_are_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither wins silently: the error names both, and how to solve it."""
        _distribution(tmp_path, "other", "0.3", "acme_politeness = other:Politeness")
        monkeypatch.syspath_prepend(tmp_path)
        invalidate_caches()
        with pytest.raises(PluginError, match=r"acme-evaluators 2\.5\.0 and other 0\.3; uninstall"):
            registry.load(Settings("acme_politeness"))


def test_a_plugin_may_not_take_the_name_of_a_builtin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A built-in has no inner door, so a second offer of its name is refused as well."""
    _distribution(tmp_path, "shadow", "1.0", "secrets = shadow:Secrets")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"offered by assay .* and shadow 1\.0"):
        registry.load(Settings("secrets"))


def test_one_evaluator_may_have_several_names() -> None:
    """`use` says what it is; its options are those of the name in the config."""
    object_, upper = (
        registry.load(Settings(name, {"regex": expression}, use="format_valid"))
        for name, expression in (("is_object", "^{"), ("is_upper", "[A-Z]+"))
    )
    span = testing.make_span("?", "ABC")
    results = [testing.run(one, Subject(span, spans=(span,))) for one in (object_, upper)]
    assert [result.value for result in results if isinstance(result, Score)] == [0.0, 1.0]
    assert registry.load(Settings("mine", use="toxicity")).version == (
        registry.load(Settings("toxicity")).version
    )


def test_an_unknown_name_gets_the_nearest_valid_one() -> None:
    """A typing error is answered with the name that was meant."""
    with pytest.raises(PluginError, match=r'"groundednes"; did you mean "groundedness"'):
        registry.load(Settings("groundednes"))


def test_a_rubric_file_is_an_evaluator() -> None:
    """A rubric needs no entry point; its name is the one in the config."""
    text = "name: x\ninputs: [output]\ninstructions: i\nitems: [{id: a, question: q}]\n"
    evaluator = registry.load(Settings("brand_voice", rubric=text, rubric_path=Path("r/x.yaml")))
    assert evaluator.version.startswith("1-")
    with pytest.raises(ConfigError, match=r"r/x\.yaml:2: .*inputs"):
        registry.load(
            Settings("v", rubric=text.replace("output", "o"), rubric_path=Path("r/x.yaml"))
        )
    with pytest.raises(PluginError, match='unknown option "x"'):
        registry.load(Settings("v", {"x": 1}, rubric=text))


def test_importing_the_package_and_listing_is_light() -> None:
    """Neither loads pattern engine, YAML, pydantic or a judge client."""
    heavy = ["re2", "yaml", "openai", "pydantic", "jsonschema_rs"]
    code = (
        "import sys, evaluators\nfrom evaluators import registry\nregistry.available()\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_foreign_schemas_folder_is_told(tmp_path: Path) -> None:
    """A project's own `schemas` that hides ours is named, with the remedy, before it confuses."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("")
    root = Path(str(import_module("evaluators").__file__)).parent.parent
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]\nimport evaluators",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f'ImportError: "schemas" is {tmp_path / "schemas"}' in done.stderr
    assert "--import-mode=importlib" in done.stderr
