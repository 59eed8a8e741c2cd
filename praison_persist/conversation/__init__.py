"""Conversation stores that are not SQL, and the template to write one."""
