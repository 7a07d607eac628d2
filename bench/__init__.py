"""Speed, scale and quality, measured side by side; prints tables, is no test."""
