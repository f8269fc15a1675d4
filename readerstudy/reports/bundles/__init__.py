"""The bundle that leaves the platform: every table, figure, script and draft of one snapshot."""
