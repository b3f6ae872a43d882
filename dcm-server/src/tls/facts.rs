//! What certificates say.

use std::net::IpAddr;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, X509Error},
};

/// What the server's own certificates say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    /// From when to when all of them are valid, in seconds since 1970.
    pub(super) valid: (i64, i64),
    /// The host names of the first of them, in small letters.
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Served {
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Result<Self, X509Error> {
        let mut served = Self { valid: (i64::MIN, i64::MAX), hosts: Vec::new(), addresses: Vec::new() };
        for (at, der) in chain.iter().enumerate() {
            let certificate = parse(der)?;
            let (from, to) = (certificate.validity().not_before, certificate.validity().not_after);
            served.valid = (served.valid.0.max(from.timestamp()), served.valid.1.min(to.timestamp()));
            for name in if at == 0 { names(&certificate)? } else { Vec::new() } {
                match name {
                    GeneralName::DNSName(name) => served.hosts.push(name.to_ascii_lowercase()),
                    GeneralName::IPAddress(bytes) => served.addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        Ok(served)
    }

    /// Whether a client may call the server so: as TLS itself reads names (RFC 9525, section 6.3), a star stands for one label.
    pub(super) fn goes_by(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        self.hosts.iter().any(|name| match name.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == above),
            None => *name == host,
        })
    }

    /// When they run out.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.valid.1).ok()
    }
}

pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, X509Error> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(X509Error::from)?;
    Ok(certificate)
}

/// The names beside the subject; none where there is no such extension.
pub(super) fn names<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<GeneralName<'a>>, X509Error> {
    let names = certificate.subject_alternative_name()?;
    Ok(names.map_or_else(Vec::new, |names| names.value.general_names.clone()))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_goes_by_the_names_of_its_certificate_and_a_star_stands_for_one_label() {
        let mut params = rcgen::CertificateParams::new(
            ["DCM.example.com", "*.dcm.example.com", "10.0.0.5", "::1"].map(str::to_owned),
        )
        .unwrap();
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let served = Served::of(&[params.self_signed(&key).unwrap().der().clone()]).unwrap();
        for host in ["dcm.example.com", "DCM.Example.com.", "a.dcm.example.com", "10.0.0.5", "[::1]"] {
            assert!(served.goes_by(host), "{host}");
        }
        for host in [
            "example.com",
            "a.b.dcm.example.com",
            ".dcm.example.com",
            "10.0.0.6",
            "*.example.com",
            "xdcm.example.com",
            "",
        ] {
            assert!(!served.goes_by(host), "{host}");
        }
        assert_eq!(served.expires().unwrap().to_string(), "2040-01-01T00:00:00Z");
    }
}
