"""The processes and the callers of the chaos run."""
