"""Key-value state: a template and one small module a vendor."""
