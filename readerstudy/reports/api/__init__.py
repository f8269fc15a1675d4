"""Results for programs: read-only, by a token of one person for one study."""
