"""LangGraph on the stores of this package, with the real LangGraph."""
