"""One file per kind of number: toxicity of continuations, perplexity of texts, composites of both."""
