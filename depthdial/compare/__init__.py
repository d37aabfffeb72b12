"""What a run says as a whole: networks compared at equal cost, over seeds, beside the paper's claims; no torch."""
