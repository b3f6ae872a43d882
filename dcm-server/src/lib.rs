//! The DCM server: REST over HTTP, configuration, assembly and the worker
