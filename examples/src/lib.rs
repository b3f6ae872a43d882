//! Programs that show DCM at work; see `examples/quickstart`.
