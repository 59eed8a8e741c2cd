"""Knowledge stores: a base, and one file a vendor."""
