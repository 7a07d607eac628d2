"""Training: from scratch (demo, lab) and the one loop that all repair methods share."""
