#!/bin/sh
# A step of a build: record what your tests make the application send (an OTLP file exporter, or a
# collector with one), then let the build fail where too much of it does not pass.
set -eu
assay evaluate "${1:-examples/support.json}" --config examples/ci.yaml \
  --fail-under pii=1.0 --fail-under secrets=1.0 --fail-under refusal=0.95
