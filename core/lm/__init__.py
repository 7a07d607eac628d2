"""Language models: loading, tokenising, log-probabilities, generation. Nothing here knows what a stage is."""
