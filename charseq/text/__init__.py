"""Characters to numbers and back: texts, vocabularies, ids, batches. Never imports torch."""
