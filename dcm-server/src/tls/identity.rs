//! Who a client is, by the certificate that he showed.

use std::{fmt, sync::Arc};

use rustls::pki_types::CertificateDer;
use x509_parser::{extensions::GeneralName, prelude::X509Error};

use super::facts;

/// Who the client of a connection is. Only there where a CA of `--client-ca` says so; an edge finds it among the extensions of a
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity(Arc<Names>);

#[derive(Debug, PartialEq, Eq)]
struct Names {
    uris: Vec<String>,
    dns: Vec<String>,
    common_name: Option<String>,
    /// Whether there is any name beside the subject, also of a kind that is not looked at.
    has_others: bool,
}

impl PeerIdentity {
    /// Reads a certificate that was verified.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, X509Error> {
        let certificate = facts::parse(certificate)?;
        let common_name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let others = facts::names(&certificate)?;
        let mut names = Names {
            uris: Vec::new(),
            dns: Vec::new(),
            common_name: common_name.map(str::to_owned),
            has_others: !others.is_empty(),
        };
        for name in others {
            match name {
                GeneralName::URI(uri) => names.uris.push(uri.to_owned()),
                GeneralName::DNSName(name) => names.dns.push(name.to_owned()),
                _ => {}
            }
        }
        Ok(Self(Arc::new(names)))
    }

    /// The URIs among its subject alternative names, such as `spiffe://example.com/dcm`.
    pub fn uris(&self) -> &[String] {
        &self.0.uris
    }

    /// The host names among its subject alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.0.dns
    }

    /// The common name of its subject.
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// Whether one of the names that are allowed is his.
    pub fn is_one_of(&self, allowed: &[String]) -> bool {
        allowed.iter().any(|allowed| self.is(allowed))
    }

    /// A URI is compared with the URIs, byte for byte; any other name with the host names, whatever their case, and with the common
    /// name only where the certificate has no subject alternative name at all: that is how TLS reads certificates (RFC 9525, section
    /// 2), and a CA that issues names of one kind under rules of its own often takes any common name that it is asked for.
    ///
    /// Stars mean nothing: who has a certificate for `*.example.com` is not everybody below it.
    fn is(&self, allowed: &str) -> bool {
        let names = &*self.0;
        if allowed.contains("://") {
            return names.uris.iter().any(|uri| uri == allowed);
        }
        names.dns.iter().any(|name| name.eq_ignore_ascii_case(allowed))
            || (!names.has_others && names.common_name.as_deref() == Some(allowed))
    }
}

/// The name by which he would be allowed.
impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &*self.0;
        let common_name = names.common_name.as_ref().filter(|_| !names.has_others);
        match names.uris.first().or(names.dns.first()).or(common_name) {
            Some(name) => f.write_str(name),
            None => f.write_str("nobody by name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn identity(common_name: &str, names: Vec<SanType>) -> PeerIdentity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerIdentity::of(certificate.der()).unwrap()
    }

    fn is(identity: &PeerIdentity, allowed: &str) -> bool {
        identity.is_one_of(&["other.example.com".to_owned(), allowed.to_owned()])
    }

    #[test]
    fn a_name_is_allowed_by_itself_alone() {
        let uri = "spiffe://example.com/dcm";
        let names =
            vec![SanType::URI(uri.try_into().unwrap()), SanType::DnsName("dcm.example.com".try_into().unwrap())];
        let peer = identity("admin", names);
        assert!(is(&peer, uri) && is(&peer, "dcm.example.com") && is(&peer, "DCM.example.com"));
        for other in [
            "spiffe://example.com/DCM",
            "spiffe://example.com",
            "spiffe://example.com/dcm/x",
            "example.com",
            "*.example.com",
            "",
        ] {
            assert!(!is(&peer, other), "{other}");
        }
        assert!(!peer.is_one_of(&[]));
        assert_eq!(peer.to_string(), uri);
    }

    #[test]
    fn a_common_name_counts_only_where_there_is_no_other_name() {
        assert!(is(&identity("dcm", Vec::new()), "dcm"));
        assert!(!is(&identity("dcm", Vec::new()), "DCM"));
        // Whatever kind the other one is of.
        for other in [SanType::DnsName("x".try_into().unwrap()), SanType::Rfc822Name("a@b.example".try_into().unwrap())]
        {
            assert!(!is(&identity("dcm", vec![other]), "dcm"));
        }
        // And it never stands for a URI.
        assert!(!is(&identity("spiffe://example.com/dcm", Vec::new()), "spiffe://example.com/dcm"));
    }

    #[test]
    fn a_star_in_a_certificate_stands_for_nobody_else() {
        let peer = identity("x", vec![SanType::DnsName("*.example.com".try_into().unwrap())]);
        assert!(!is(&peer, "dcm.example.com"));
    }
}
