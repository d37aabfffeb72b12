"""Accuracy of masks: shared-prefix evaluation, tables, shards."""
