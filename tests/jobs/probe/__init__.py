"""An app with one slow task, for tests that kill real worker processes."""
