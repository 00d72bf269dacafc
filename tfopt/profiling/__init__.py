"""The pipelines behind the verbs: a model in, a record out."""
