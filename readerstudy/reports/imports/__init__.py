"""An old study's own tables: any headings, CSV or XLSX, brought into the form that is imported."""
