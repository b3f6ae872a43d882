//! Why no answer came, in words.

use std::{error::Error as StdError, io};

use ::kube::client::{AuthError, RustlsTlsError};
use dcm_core::sync::{Failure, Reason};
use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// What went wrong between us and the API server at `place`.
pub(super) fn failure(error: &::kube::Error, place: &str) -> Failure {
    if let Some(tls) = find::<TlsError>(error) {
        return tls_failure(tls, place);
    }
    let kind = find::<io::Error>(error).map(io::Error::kind);
    let cause = root(error);
    let connecting = find::<legacy::Error>(error).is_none_or(legacy::Error::is_connect);
    if connecting {
        let why = match kind {
            Some(io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
            Some(io::ErrorKind::TimedOut) => "no connection in time".to_owned(),
            _ => cause,
        };
        return Failure::new(
            Reason::Unreachable,
            format!(
                "the API server at {place} cannot be reached: {why}; check the cluster, the network, \
                 and the server in its kubeconfig"
            ),
        );
    }
    let why = match kind {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            "the connection ended; look at the API server, and at what stands before it".to_owned()
        }
        _ => format!("{cause}; check the server in the cluster's kubeconfig, and what stands before it"),
    };
    Failure::new(Reason::ServerError, format!("the API server at {place} broke its answer off: {why}"))
}

fn tls_failure(error: &TlsError, place: &str) -> Failure {
    use AlertDescription as Alert;
    let unreachable = |why: &str| {
        let detail = format!("the API server at {place} cannot be trusted: {why}");
        Failure::new(Reason::Unreachable, detail)
    };
    match error {
        TlsError::InvalidCertificate(bad) => unreachable(&certificate_words(bad)),
        TlsError::AlertReceived(
            Alert::CertificateExpired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::AccessDenied,
        ) => Failure::new(
            Reason::Unauthorized,
            format!(
                "the API server at {place} does not accept DCM's client certificate; \
                 register the cluster with a valid kubeconfig"
            ),
        ),
        TlsError::InvalidMessage(_) => unreachable(
            "what answers there speaks no TLS; check the server in the cluster's kubeconfig, and what stands before it",
        ),
        other => unreachable(&format!("TLS failed ({other})")),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not from the CA in the kubeconfig (unknown CA); \
             register the cluster with its current CA"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it on the cluster".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; check the clocks".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; check server and tls-server-name in the kubeconfig".to_owned()
        }
        other => format!("its certificate is refused ({other})"),
    }
}

/// Why a client could not even be made, without the values that it was to be made of.
pub(super) fn unusable_because(error: &::kube::Error) -> String {
    match error {
        ::kube::Error::RustlsTls(RustlsTlsError::AddRootCertificate(_)) => {
            "a certificate in its certificate-authority-data cannot be read"
        }
        ::kube::Error::RustlsTls(RustlsTlsError::InvalidServerName(_)) => "its tls-server-name is not a name",
        ::kube::Error::RustlsTls(_) | ::kube::Error::InferKubeconfig(_) => {
            "its client certificate or key cannot be read, or they do not belong together"
        }
        ::kube::Error::Auth(AuthError::InvalidBearerToken(_) | AuthError::InvalidBasicAuth(_)) => {
            "its token or password has characters that cannot be sent"
        }
        ::kube::Error::ProxyProtocolUnsupported { .. } | ::kube::Error::ProxyProtocolDisabled { .. } => {
            "its proxy is of a kind that is not supported"
        }
        _ => "its credential cannot be used",
    }
    .to_owned()
}

/// The errors below an error, those that `io::Error` hides included.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
    .take(32)
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn root(error: &(dyn StdError + 'static)) -> String {
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    super::failure::shown(&text)
}
