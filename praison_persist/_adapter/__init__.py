"""The parts of PraisonAIDB: each file adds one group of methods to the one before it."""
