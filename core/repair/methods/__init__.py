"""The repair methods, one file each."""
