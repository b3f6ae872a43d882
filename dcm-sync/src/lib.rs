//! Carries logical clouds to Kubernetes clusters
