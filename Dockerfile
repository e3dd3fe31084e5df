FROM python:3.11.15-slim-bookworm AS build
WORKDIR /src
# Every file is checked against the lock here; what follows installs from these files alone.
COPY requirements.lock ./
RUN python -m pip download --quiet --no-deps --require-hashes --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md LICENSE assay_cli.py ./
COPY schemas schemas
COPY evaluators evaluators
COPY workers workers
RUN python -m pip install --quiet --no-index --find-links /wheels hatchling \
 && python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /dist . \
 && python -m venv /opt/assay \
 && /opt/assay/bin/python -m pip install --quiet --no-index --find-links /wheels /dist/*.whl \
 && /opt/assay/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM python:3.11.15-slim-bookworm
COPY --from=build /opt/assay /opt/assay
USER 10001:10001
WORKDIR /etc/assay
# -I: no PYTHONPATH and no working directory on the path, so no foreign `schemas` or `workers`.
# -u: a log line is out when it is written.
ENTRYPOINT ["/opt/assay/bin/python", "-I", "-u", "-m", "assay_cli"]
CMD ["run", "--config", "/etc/assay/assay.yaml"]
