"""Drafts of what the authors write: filled from the study's own data, marked as drafts."""
