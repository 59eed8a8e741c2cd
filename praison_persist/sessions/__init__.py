"""Session stores: an agent's conversations by session id, with forks, snapshots and search."""
