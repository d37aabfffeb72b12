"""One network, many depths: export, compile, check, bundle and run with IREE."""
