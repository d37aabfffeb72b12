"""Measurements on devices: connections, provisioning, meters, the protocol, records and the cost model."""
