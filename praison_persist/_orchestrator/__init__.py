"""The parts of the orchestrator."""
