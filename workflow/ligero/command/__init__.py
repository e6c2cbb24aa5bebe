"""The `ligero` command: from a file of labelled texts to a model that answers, over the workflow and the library."""
