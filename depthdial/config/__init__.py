"""The experiment's configuration: one typed, strict schema, a module per top-level key."""
