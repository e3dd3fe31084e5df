"""How it flows: Kafka in, the pipeline, Kafka out, metrics, the command line."""
