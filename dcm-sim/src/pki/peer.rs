//! Client certificates on a connection.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::auth::User;

/// Lets every client certificate through the handshake, as real API servers do: a wrong one is answered 401 and does
/// not look like a broken connection. That the client holds the key is checked here; the chain is [`Peer`]'s affair.
#[derive(Debug)]
pub(crate) struct LenientVerifier(pub(crate) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for LenientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The client certificate of a connection, judged once.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The user, where the certificate is one of the cluster's CA, and until when.
    user: Option<(User, Timestamp)>,
}

impl Peer {
    /// Judges a chain by the cluster's CA.
    pub(crate) fn judge(chain: &[CertificateDer<'_>], verifier: &dyn ClientCertVerifier) -> Option<Self> {
        let (leaf, intermediates) = chain.split_first()?;
        let user = verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).ok().and_then(|_| user(leaf));
        Some(Self { user })
    }

    /// The user, where the certificate is good at that moment.
    pub(crate) fn user_at(&self, moment: Timestamp) -> Option<&User> {
        self.user.as_ref().filter(|(_, until)| moment <= *until).map(|(user, _)| user)
    }
}

fn user(leaf: &CertificateDer<'_>) -> Option<(User, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization().filter_map(|value| value.as_str().ok()).map(str::to_owned);
    let until = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    Some((User::authenticated(name, groups), until))
}
