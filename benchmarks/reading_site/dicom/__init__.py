"""OHIF-style loading, for comparison: the same series as DICOM files, by Cornerstone's loader."""
