//! Keys, certificate signing requests and certificates for DCM
