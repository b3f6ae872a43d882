//! Those who ask a CA: logical clouds that nobody had before, keys and requests.

use dcm_core::{
    ca::{Cloud, Generation, IntermediateRequest},
    model::Uid,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

/// A logical cloud that no CA knows.
#[must_use]
pub fn cloud() -> Cloud {
    let uid = Uid::from_random(fastrand::u128(..).to_be_bytes());
    let trust_domain = format!("t{}.example", &uid.as_str()[..8]);
    Cloud {
        uid,
        project: "walmart".parse().expect("a name"),
        name: "lc-1".parse().expect("a name"),
        trust_domain: trust_domain.parse().expect("a trust domain"),
    }
}

/// A generation.
#[must_use]
pub fn generation(number: u32) -> Generation {
    Generation::new(number).expect("not 0")
}

/// A key on P-256, in nobody's hands but the test's.
#[derive(Debug)]
pub struct Key(pub(super) KeyPair);

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl Key {
    /// A new key.
    #[must_use]
    pub fn new() -> Self {
        Self(KeyPair::generate().expect("a key"))
    }

    /// A request that says nothing but the key.
    #[must_use]
    pub fn csr(&self) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        self.csr_asking(&params)
    }

    /// A request that asks for more.
    #[must_use]
    pub fn csr_asking(&self, params: &CertificateParams) -> String {
        params.serialize_request(&self.0).and_then(|request| request.pem()).expect("a request")
    }

    /// Asks for the intermediate of a cluster.
    #[must_use]
    pub fn request(&self, cloud: &Cloud, cluster: &str, number: u32) -> IntermediateRequest {
        request(cloud, cluster, number, &self.csr())
    }
}

/// Asks for the intermediate of a cluster with any text as its request.
#[must_use]
pub fn request(cloud: &Cloud, cluster: &str, number: u32, csr_pem: &str) -> IntermediateRequest {
    IntermediateRequest {
        cloud: cloud.clone(),
        cluster: cluster.parse().expect("an identity"),
        generation: generation(number),
        csr_pem: csr_pem.to_owned(),
    }
}

/// A request with an RSA key of 1024 bits, in order otherwise.
pub const WEAK: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBTjCBuAIBADAPMQ0wCwYDVQQDDAR3ZWFrMIGfMA0GCSqGSIb3DQEBAQUAA4GN
ADCBiQKBgQDXQRnf6CWaEXnbsdDOVW/e5J5CJqJKRPpP4x3Qs3sMeF6l67zkzfN5
7x73NDPYtd8tVNa/1tfflbMBe5u/9aouaIt1fX/DP760Wuu5nO8ygw4jNIayCI19
pspeQ67VS/gqEy+PvT9wDpKJzHR0zVmYYZAW2llW6y28fQ3hLAeTxwIDAQABoAAw
DQYJKoZIhvcNAQELBQADgYEAkoVjcXjiePQVk2JlUcOmPMjLAC2bN4zVTv+QfbQs
aCC5kN/Rh2enn4cNXTHTTzi8BCC4iQ78UClhlwJ6ejltkD4WFw0DV7wFx43R7aBS
mS2cXx6uM4Nz9+NigzVK5yngR4eOfIVatJ2A8IG4WRzyU7Fy3peGkH10YVPcENWb
74U=
-----END CERTIFICATE REQUEST-----
";
