//! Simulated Kubernetes clusters: an HTTPS server that speaks the part of the Kubernetes API that DCM and kubectl need
