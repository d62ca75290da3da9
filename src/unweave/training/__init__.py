"""Train separators: a folder of stems in, a model of one's own out (extra `train`)."""
