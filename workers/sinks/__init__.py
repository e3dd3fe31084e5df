"""Where outcomes go besides the scores topic: best effort, counted, never in the pipeline's way."""
