"""Metrics of deepeval (Confident AI; Apache-2.0) about one call."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from evaluators.contract import Need

from .adapter import Adapter, Evidence, Found, Metric
from .chat import MODEL, Chat

_NEEDS = {
    "input": Need.INPUT,
    "actual_output": Need.OUTPUT,
    "expected_output": Need.REFERENCE,
    "context": Need.CONTEXT,
    "retrieval_context": Need.CONTEXT,
    "tools_called": Need.TOOLS,
}
"""Fields of its test case that a span can fill."""
_FIELDS = "evaluation_params"


class Deepeval(Adapter):
    """A metric of deepeval: `metric: FaithfulnessMetric`, `GEval`, `ToxicityMetric`, ..."""

    distribution = "deepeval"
    extra = "deepeval"
    module = "deepeval"
    switches = {  # noqa: RUF012
        "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
        "DEEPEVAL_DISABLE_DOTENV": "1",
        "DEEPEVAL_FILE_SYSTEM": "READ_ONLY",
    }

    def prepare(self, library: Any) -> Metric:
        """See from the metric's required fields what it looks at."""
        del library
        metrics = import_module("deepeval.metrics")
        self._cases = import_module("deepeval.test_case")
        self._model = _model_class(import_module("deepeval.models").DeepEvalBaseLLM)
        names = [
            name
            for name, value in vars(metrics).items()
            if isinstance(value, type) and issubclass(value, metrics.BaseMetric)
        ]
        self._metric = self.named(metrics, names)
        parameters = inspect.signature(self._metric).parameters
        self._asks_judge = "model" in parameters
        self._has_fields = _FIELDS in parameters
        metric = self._built(None)
        required = getattr(metric, _FIELDS if self._has_fields else "_required_params", ())
        fields = [field.value for field in required]
        unknown = sorted(set(fields) - _NEEDS.keys())
        if unknown:
            raise ValueError(
                f"{self.options.metric} needs {', '.join(unknown)}, which no span has; "
                "take another metric"
            )
        return Metric(frozenset(_NEEDS[field] for field in fields), self._asks_judge)

    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        """Measure with an object of its own: it holds the result."""
        metric = self._built(chat)
        case = self._cases.LLMTestCase(
            input=evidence.input,
            actual_output=evidence.output,
            expected_output=evidence.reference,
            context=evidence.context,
            retrieval_context=evidence.context,
            tools_called=[
                self._cases.ToolCall(name=name, input_parameters=_parameters(arguments))
                for name, arguments in evidence.tools
            ],
        )
        await metric.a_measure(case, _show_indicator=False)
        return Found(metric.score, metric.reason)

    def _built(self, chat: Chat | None) -> Any:
        ours: dict[str, Any] = {}
        if self._asks_judge:
            ours["model"] = self._model(chat)
        if self._has_fields:
            ours[_FIELDS] = self._chosen_fields()
        return self.built(self._metric, self.options.args, **ours)

    def _chosen_fields(self) -> list[Any]:
        names = self.options.args.get(_FIELDS, ["input", "actual_output"])
        unknown = sorted(set(map(str, names)) - _NEEDS.keys())
        if unknown:
            raise ValueError(
                f"option args.{_FIELDS}: no span fills {', '.join(unknown)}; "
                f"there is {', '.join(_NEEDS)}"
            )
        return [self._cases.SingleTurnParams(name) for name in names]


def _parameters(arguments: Any) -> dict[str, Any]:
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _model_class(base: Any) -> Any:
    """The library's kind of model over our judge; made when the library is there."""

    class OurJudge(base):  # type: ignore[misc]  # known only at run time
        def __init__(self, chat: Chat | None) -> None:
            self._chat = chat
            super().__init__(MODEL)

        def load_model(self) -> Any:
            return self

        def get_model_name(self) -> str:
            return MODEL

        def generate(self, prompt: str, schema: type[BaseModel] | None = None) -> Any:
            raise NotImplementedError("a worker only ever awaits")

        async def a_generate(self, prompt: str, schema: type[BaseModel] | None = None) -> Any:
            assert self._chat is not None  # noqa: S101  only the model of `prepare` has none
            reply = await self._chat.complete(_request(prompt, schema))
            text = str(reply["choices"][0]["message"].get("content") or "")
            if schema is None:
                return text
            try:
                return schema.model_validate_json(text)
            except ValidationError:
                return text  # the library knows how to find JSON in prose, or says that it did not

    return OurJudge


def _request(prompt: str, schema: type[BaseModel] | None) -> Mapping[str, Any]:
    request: dict[str, Any] = {
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
    }
    if schema is not None:
        named = {"name": schema.__name__, "schema": schema.model_json_schema()}
        request["response_format"] = {"type": "json_schema", "json_schema": named}
    return request
