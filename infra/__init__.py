"""Where to run it: manifests, and the stack on one machine."""
