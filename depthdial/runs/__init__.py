"""What a run needs to be safe and resumable: locks, orphaned jobs, states of jobs, logs, provenance."""
