"""What `assay.yaml` says, as frozen models; `config_file.py` reads the file into them.

The models are the only source: `docs/generate.py` makes the reference page and the JSON Schema out
of the types, the defaults and the docstring below each key.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.json_schema import SkipJsonSchema

from .calibration import Calibration
from .config_values import (
    DISTINCT,
    NUMBER,
    ODD,
    BaseUrl,
    Count,
    Dollars,
    Fraction,
    LabelName,
    Name,
    Seconds,
    Start,
    Text,
    Topic,
    Url,
)
from .kafka_properties import REFUSED_PROPERTIES, PropertyName, PropertyValue
from .limits import Limits


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class KafkaConfig(_Section):
    """Where spans come from and outcomes go to."""

    bootstrap_servers: Text
    """Brokers to start from, `host:port`, separated by commas."""
    group_id: Text = "assay"
    """Consumer group; each lane adds its name: `.code`, `.judge`, `.trace`."""
    spans: Annotated[tuple[Topic, ...], Field(min_length=1), DISTINCT]
    """Topics that hold OTLP trace exports."""
    encoding: Literal["auto", "otlp_proto", "otlp_json"] = "auto"
    """How the exports are encoded; `auto` tells by the first byte of each record."""
    start: Start = "latest"
    """Where a group begins that has never committed: `latest`, `earliest` or an RFC 3339 time."""
    scores: Topic = "assay.scores"
    """Topic for outcomes, one for each span and evaluator."""
    dead_letters: Topic = "assay.dead_letters"
    """Topic for what cannot be read."""
    leases: Topic = "assay.leases"
    """Topic by which workers share `budgets`; needed where there is one."""
    otlp_scores: Topic | None = None
    """Topic that also gets each outcome, as an OTLP log record; null is none."""
    client: Annotated[
        dict[PropertyName, PropertyValue],
        Field(
            repr=False,
            json_schema_extra={"propertyNames": {"not": {"enum": sorted(REFUSED_PROPERTIES)}}},
        ),
    ] = {}
    """librdkafka properties (TLS, SASL, sizes) for every consumer and producer. Those that the
    delivery promise rests on, or that run code, are refused by name. A password may stand in a
    file: `sasl.password_file`."""

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        uses = dict.fromkeys(self.spans, "spans")
        for name in ("scores", "dead_letters", "leases", "otlp_scores"):
            topic = getattr(self, name)
            if topic in uses:
                raise ValueError(
                    f'uses topic "{topic}" for {uses[topic]} and for {name}; use another'
                )
            if topic is not None:
                uses[topic] = name
        return self


class PriceConfig(_Section):
    """What a judge's tokens cost."""

    input_usd_per_mtok: Dollars
    """US dollars for a million input tokens."""
    output_usd_per_mtok: Dollars
    """US dollars for a million output tokens, reasoning included."""


class JudgeConfig(_Section):
    """One model behind an OpenAI-compatible endpoint."""

    model: Text
    """Model to ask for."""
    base_url: BaseUrl
    """The endpoint's base address, such as `https://judge.example/v1`."""
    api_key: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Key for the endpoint; null sends none. Usually `${NAME}` of an environment variable."""
    api_key_file: Path | None = None
    """File that holds the key, in the place of `api_key`."""
    headers: Annotated[dict[str, str], Field(repr=False)] = {}
    """Headers to add to each request, for gateways."""
    query: Annotated[dict[str, str], Field(repr=False)] = {}
    """Query parameters to add to each request, such as Azure's `api-version`."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""
    proxy: Annotated[Url | None, Field(repr=False)] = None
    """HTTP proxy; the environment's proxy settings are not read."""
    deadline_s: Seconds = 60.0
    """Seconds for one evaluation, all attempts; waiting for the limiter and 429s do not count."""
    attempt_s: Seconds = 30.0
    """Seconds for one request."""
    max_attempts: Count = 3
    """Requests for one evaluation; 429s do not count."""
    max_output_tokens: Count = 2000
    """Tokens that the judge may produce, reasoning included."""
    max_concurrency: Count = 200
    """Requests in flight per worker at most; the limiter finds how many are good."""
    max_response_bytes: Count = 4194304
    """Size of a response, in bytes, beyond which it is not read on."""
    cached_verdicts: Annotated[int, Field(ge=0), NUMBER] = 0
    """Verdicts that a worker remembers, for an hour each, and gives again where an evaluator asks
    the same about the same text; 0 asks anew each time. About a kilobyte each."""
    price: PriceConfig | None = None
    """Overrides the built-in price list."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("has both api_key and api_key_file; keep one of them")
        return self


class ProcessConfig(_Section):
    """The processes of an evaluator that has `isolate: process`, for each worker."""

    processes: Count = 2
    """Processes at a time."""
    concurrency: Count = 32
    """Evaluations in a process at a time; raise it where they wait for a slow judge."""
    memory_bytes: Annotated[int, Field(ge=67108864)] | None = None
    """What a process may allocate, at least 64 MiB; null sets no bound. What asks for more gets a
    `MemoryError`, or dies, and a fresh process takes its place."""
    recycle_after: Count = 10000
    """Evaluations after which a process is replaced, whatever it has leaked."""


class AnchorsConfig(_Section):
    """Labelled items that are judged again and again, to notice that a judge has changed."""

    file: Path
    """JSON lines, as for `assay calibrate`; a relative path starts at the config's folder."""
    per_hour: Annotated[float, Field(gt=0, le=3600), NUMBER] = 10.0
    """Items an hour, of all workers together."""


class EvaluatorConfig(_Section):
    """What differs from an evaluator's own defaults."""

    use: Text | None = None
    """The installed evaluator that this is; null is the one of its own name. So one may be there
    several times, each with options of its own."""
    judge: Text | None = None
    """Which of `judges` it asks; null is `default` where the evaluator needs a judge, else none."""
    verify: Text | None = None
    """A second of `judges`, of another family: it is asked where the first fails a safety check,
    is near the threshold, or the text tried to address it."""
    jury: Annotated[tuple[Text, ...], DISTINCT, ODD] | None = None
    """An odd number of `judges` that are always asked, in the place of `judge`; the majority
    holds."""
    threshold: Fraction | None = None
    """Score at and above which it passes; null is the evaluator's own."""
    objective: Fraction | None = None
    """Mean score that is promised; alerts compare with it."""
    page_on: Literal["any"] | None = None
    """`any`: one critical finding pages."""
    alert: Literal["page", "ticket", "none"] = "page"
    """What its alerts may do: `page`, only open a `ticket`, or `none` (a shadow run)."""
    owner: Text | None = None
    """Whose it is: on its alerts, for Alertmanager to route by."""
    anchors: AnchorsConfig | None = None
    """Labelled items to watch its judge by; null is none."""
    calibration: Path | None = None
    """Record of `assay calibrate`, by which a corrected pass rate stands beside the raw one; a
    relative path starts at the config's folder."""
    calibrated: SkipJsonSchema[Calibration | None] = Field(default=None, repr=False)
    """Content of the record, read by the loader; no key of the file."""
    rubric: Path | None = None
    """Rubric file (YAML) that is this evaluator; a relative path starts at the config's folder."""
    rubric_text: SkipJsonSchema[str | None] = Field(default=None, repr=False)
    """Content of the rubric file, read by the loader; no key of the file."""
    folder: SkipJsonSchema[Path] = Field(default=Path(), repr=False)
    """The config's folder, set by the loader; no key of the file."""
    isolate: Literal["process"] | None = None
    """`process`: its code runs in processes of its own, which are killed where it does not end."""
    process: ProcessConfig = ProcessConfig()
    """Those processes; only with `isolate: process`."""
    options: dict[str, Any] = {}
    """The evaluator's own options; relative paths in them start at the config's folder."""

    @model_validator(mode="after")
    def _one_way_of_judging(self) -> Self:
        if self.use is not None and self.rubric is not None:
            raise ValueError("has both use and rubric; keep one of them")
        if self.jury is not None:
            for name in ("judge", "verify"):
                if getattr(self, name) is not None:
                    raise ValueError(f"has both {name} and jury; keep one of them")
        if self.verify is not None and self.verify == (self.judge or "default"):
            raise ValueError("verifies a judge by itself; name another one in verify")
        return self


class RouteConfig(_Section):
    """Which spans are evaluated, how many of them, and by whom."""

    name: Name
    """Name of the route, on every outcome and metric."""
    when: Text
    """CEL expression over the normalised span, such as `span.service == "shop"`. One that does not
    name `span.kind` selects LLM calls only."""
    sample: Fraction = 1.0
    """Share of traces to keep, 0 to 1; decided by the trace id, so by all workers alike."""
    evaluators: Annotated[tuple[Text, ...], Field(min_length=1), DISTINCT]
    """Evaluators that judge each kept span."""
    content: Literal["full", "redacted", "none"] = "redacted"
    """What a judge may see: `full`, `redacted`, or `none` (then no evaluator may ask a judge)."""
    max_age_s: Seconds | None = None
    """Seconds after which a span that waits is `skipped(expired)`; null is never."""


class BudgetConfig(_Section):
    """A cap on what judges cost, which all workers share."""

    name: Name
    """Name of the budget, on its metrics and alerts; keep it while its period lasts."""
    usd: Annotated[float, Field(gt=0, le=1e9), NUMBER]
    """US dollars that judges may cost in one period."""
    per: Literal["hour", "day", "month"]
    """The period, in UTC."""
    at_cap: Literal["degrade", "skip", "pause"] = "degrade"
    """What happens when it is spent: `degrade` lets code answer where an evaluator has such a stage
    and skips the rest, `skip` is `skipped(budget)`, `pause` waits for the next period."""
    lease: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.005
    """Share of `usd` that one worker may hold at a time; what a killed worker held is lost."""
    routes: Annotated[tuple[Text, ...], Field(min_length=1), DISTINCT] | None = None
    """Routes that it pays for; null is all."""


class GroupByConfig(_Section):
    """By whom costs are told apart, besides service, model and prompt version."""

    name: LabelName = "tenant"
    """Label of the metric."""
    attributes: Annotated[tuple[Text, ...], Field(min_length=1)] = ("tenant.id",)
    """Span or resource attributes to take the value from; the first that is there."""


class CostConfig(_Section):
    """How the cost of the observed calls is counted."""

    count: Literal["all", "sampled"] = "all"
    """`all` reads the usage of every LLM call; `sampled` weighs that of the sampled ones."""
    group_by: GroupByConfig = GroupByConfig()
    """By whom costs are told apart."""
    reference_usd: Annotated[float, Field(gt=0), NUMBER] = 0.01
    """Cost in US dollars of a call whose bounded cost score is one half."""


class TracesConfig(_Section):
    """When a trace is taken to be whole, and how much may wait for that; per worker."""

    idle_s: Seconds = 30.0
    """Seconds without a new span after which a trace counts as whole."""
    max_age_s: Seconds = 900.0
    """Seconds after which a trace is evaluated as it is, although spans still come."""
    max_bytes: Count = 268435456
    """Bytes of the records of waiting traces; beyond, the oldest are `skipped(trace_evicted)`."""
    max_count: Count = 50000
    """Traces that wait; beyond, the oldest are `skipped(trace_evicted)`."""


class LimitsConfig(_Section):
    """Bounds on what a worker takes in; in flight is per lane and worker."""

    in_flight: Count = 1000
    """Evaluations that are started and not yet committed."""
    in_flight_bytes: Count = 134217728
    """Bytes of the records that they belong to."""
    message_bytes: Count = 8388608
    """Bytes of one record, unpacked; a larger one is a dead letter."""
    spans_per_message: Count = 20000
    """Spans in one record."""
    attributes_per_span: Count = 1000
    """Attributes of one span."""
    text_chars: Count = 60000
    """Characters of judged text that a judge is shown; the rest is cut and flagged."""

    def of_message(self) -> Limits:
        """Those of them that the decoder of a message keeps to."""
        return Limits(self.message_bytes, self.spans_per_message, self.attributes_per_span)


class DeadLettersConfig(_Section):
    """What becomes of records that cannot be read, and when there are too many."""

    content: Literal["full", "none"] = "full"
    """Whether a dead letter holds the bytes or only says where they are."""
    max_consecutive: Count = 100
    """Unreadable records in a row after which the worker stops."""
    max_ratio: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.5
    """Share of unreadable records among the last `ratio_window` after which it stops."""
    ratio_window: Count = 1000
    """Records over which the share is taken."""


class StopConfig(_Section):
    """How long a worker takes to stop."""

    drain_s: Seconds = 10.0
    """Seconds for evaluations in flight to end; what is left is judged by the next owner."""
    flush_s: Seconds = 10.0
    """Seconds for the broker to acknowledge what was produced."""


class OtlpOutputConfig(_Section):
    """An OTLP/HTTP endpoint that gets each outcome too."""

    endpoint: Url
    """Base address; log records go to `/v1/logs`, spans to `/v1/traces` below it."""
    as_: Annotated[
        tuple[Literal["log", "span"], ...],
        Field(alias="as", min_length=1),
        DISTINCT,
    ] = ("log", "span")
    """`log`: an event `gen_ai.evaluation.result`; `span`: a small span in the judged trace."""
    headers: Annotated[dict[str, str], Field(repr=False)] = {}
    """Headers to add to each request."""


class OutputsConfig(_Section):
    """Outputs besides the scores topic; best effort, counted."""

    otlp: OtlpOutputConfig | None = None
    """An OTLP endpoint, such as a collector; null is none."""


class LinksConfig(_Section):
    """Base addresses that rules and messages point to."""

    grafana: Url | None = None
    """Dashboards."""
    traces: Url | None = None
    """Trace viewer."""
    runbooks: Url | None = None
    """Runbooks."""


class MetricsConfig(_Section):
    """The endpoint for `/metrics`, `/livez` and `/readyz`."""

    host: Text = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535), NUMBER] = 9464
    """Port to listen on; 0 takes a free one."""
    max_label_sets: Count = 2000
    """Label sets per metric; further ones go to `other` and are counted."""


class LogsConfig(_Section):
    """What is logged, and how."""

    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is console on a terminal, else json."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""


class Config(_Section):
    """All of `assay.yaml`."""

    kafka: KafkaConfig
    """Where spans come from and outcomes go to."""
    judges: dict[Name, JudgeConfig] = {}
    """Judges by name; `default` is the one that evaluators ask that name none."""
    evaluators: dict[Name, EvaluatorConfig] = {}
    """Settings by evaluator; only what differs from the evaluator's own defaults."""
    routes: Annotated[tuple[RouteConfig, ...], Field(min_length=1)]
    """Which spans are evaluated, how many of them, and by whom."""
    budgets: tuple[BudgetConfig, ...] = ()
    """Caps on what judges cost; an evaluation is charged to each that names one of its routes."""
    cost: CostConfig = CostConfig()
    """How the cost of the observed calls is counted."""
    traces: TracesConfig = TracesConfig()
    """When a trace is taken to be whole, and how much may wait for that."""
    limits: LimitsConfig = LimitsConfig()
    """Bounds on what a worker takes in."""
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    """What becomes of records that cannot be read."""
    stop: StopConfig = StopConfig()
    """How long a worker takes to stop."""
    outputs: OutputsConfig = OutputsConfig()
    """Outputs besides the scores topic."""
    links: LinksConfig = LinksConfig()
    """Base addresses that rules and messages point to."""
    metrics: MetricsConfig = MetricsConfig()
    """The endpoint for metrics and health."""
    logs: LogsConfig = LogsConfig()
    """What is logged, and how."""

    @property
    def named_evaluators(self) -> frozenset[str]:
        """Names of the evaluators that some route names."""
        return frozenset(name for route in self.routes for name in route.evaluators)
