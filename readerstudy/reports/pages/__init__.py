"""What the results pages show: tables, what stands behind a cell, charts, image panels."""
