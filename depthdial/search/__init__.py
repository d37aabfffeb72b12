"""Search for good masks where not all can be measured: one ask/tell interface, many strategies."""
