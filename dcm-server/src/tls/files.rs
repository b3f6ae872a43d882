//! Certificates and keys, as they lie in files.

use std::{
    fs, io,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use dcm_core::secret::Secret;
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use zeroize::Zeroize as _;

use super::facts::Served;

/// A file may have so many bytes: a bundle of a few hundred CAs.
const LARGEST: u64 = 1024 * 1024;

/// A file that an option names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) option: &'static str,
    pub(crate) path: PathBuf,
}

/// Why a file with a certificate or a key cannot be used. Quotes nothing that is in it.
#[derive(Debug, thiserror::Error)]
#[error("{option} {} cannot be used", path.display())]
pub struct FileError {
    option: &'static str,
    path: PathBuf,
    #[source]
    fault: Fault,
}

/// What is wrong with it, and how it is mended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it cannot be read: name a file that is there and that the user of this process may read")]
    Unreadable(#[source] io::Error),
    #[error("it is no regular file: put what it gives into one")]
    NoFile,
    #[error("it has more than {LARGEST} bytes: give certificates and keys alone, without their text form")]
    TooLarge,
    #[error(
        "it has no certificate in PEM form, between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----; DER becomes \
         PEM by: openssl x509 -inform der -in FILE -out NEW"
    )]
    NoCertificate,
    #[error("its PEM is damaged: copy the file again as a whole")]
    Damaged,
    #[error("its certificate number {number} cannot be used: have it issued again, or leave it out")]
    BadCertificate {
        number: usize,
        #[source]
        why: rustls::Error,
    },
    #[error(
        "it has no private key in PEM form (PKCS#8, PKCS#1 or SEC1): give the file that belongs to the certificate; DER becomes \
         PEM by: openssl pkey -inform der -in FILE -out NEW"
    )]
    NoKey,
    #[error("its key is encrypted, and nobody is there to be asked for the passphrase: openssl pkey -in FILE -out NEW")]
    Encrypted,
    #[error(
        "its key is of a kind that is not served: give RSA with 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519"
    )]
    UnknownKey,
    #[error("its key is not that of the first certificate in {}: give the two files that were issued together, the server's own \
         certificate first", .0.display())]
    OtherKey(PathBuf),
    #[error("what is in it cannot be served together")]
    Refused(#[source] rustls::Error),
    #[error("no certificate in it can be trusted")]
    NoTrust(#[source] rustls::server::VerifierBuilderError),
}

impl Named {
    pub(crate) fn new(option: &'static str, path: &Path) -> Self {
        Self { option, path: path.to_owned() }
    }

    pub(crate) fn wrong(&self, fault: Fault) -> FileError {
        FileError { option: self.option, path: self.path.clone(), fault }
    }

    /// What is in it now, through whatever links lead to it.
    pub(crate) fn read(&self) -> Result<Secret, FileError> {
        let failed = |error| self.wrong(Fault::Unreadable(error));
        // Whoever opens a pipe waits for somebody to write into it, for ever if need be.
        if !fs::metadata(&self.path).map_err(failed)?.is_file() {
            return Err(self.wrong(Fault::NoFile));
        }
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        let bytes = Secret::new(bytes);
        if read.map_err(failed)? as u64 > LARGEST {
            return Err(self.wrong(Fault::TooLarge));
        }
        Ok(bytes)
    }

    /// Whether everybody on the machine may read it. Its group may: Kubernetes gives files to one.
    pub(crate) fn is_open_to_others(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0)
    }

    pub(crate) fn certificates(&self, bytes: &Secret) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes.expose()).collect();
        // The reader's own words quote the file.
        match read {
            Err(_) => Err(self.wrong(Fault::Damaged)),
            Ok(none) if none.is_empty() => Err(self.wrong(Fault::NoCertificate)),
            Ok(certificates) => Ok(certificates),
        }
    }

    /// The CAs to trust.
    pub(crate) fn roots(&self, bytes: &Secret) -> Result<RootCertStore, FileError> {
        let mut roots = RootCertStore::empty();
        for (at, certificate) in self.certificates(bytes)?.into_iter().enumerate() {
            let number = at.saturating_add(1);
            roots.add(certificate).map_err(|why| self.wrong(Fault::BadCertificate { number, why }))?;
        }
        Ok(roots)
    }

    fn key(&self, bytes: &Secret) -> Result<PrivateKeyDer<'static>, FileError> {
        let is_encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| has(bytes.expose(), mark));
        match PrivateKeyDer::from_pem_slice(bytes.expose()) {
            _ if is_encrypted => Err(self.wrong(Fault::Encrypted)),
            Ok(key) => Ok(key),
            Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(self.wrong(Fault::NoKey)),
            Err(_) => Err(self.wrong(Fault::Damaged)),
        }
    }
}

/// A certificate with those above it, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) cert: Named,
    pub(crate) key: Named,
}

impl Pair {
    /// What names the server's pair.
    pub(crate) const SERVER: [&'static str; 2] = ["--tls-cert", "--tls-key"];
    /// What names the pair that is shown to other roles.
    pub(crate) const PEER: [&'static str; 2] = ["--peer-cert", "--peer-key"];

    /// With the options that name them.
    pub(crate) fn new(options: [&'static str; 2], cert: &Path, key: &Path) -> Self {
        Self { cert: Named::new(options[0], cert), key: Named::new(options[1], key) }
    }

    /// What the certificates say.
    pub(super) fn served(&self, certified: &CertifiedKey) -> Result<Served, FileError> {
        let why = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        Served::of(&certified.cert).map_err(|_| self.cert.wrong(Fault::BadCertificate { number: 1, why }))
    }

    /// The two together, if they belong together.
    pub(crate) fn certified(&self, cert: &Secret, key: &Secret) -> Result<CertifiedKey, FileError> {
        let chain = self.cert.certificates(cert)?;
        let mut der = self.key.key(key)?;
        let signer = any_supported_type(&der);
        der.zeroize();
        let pair = CertifiedKey::new(chain, signer.map_err(|_| self.key.wrong(Fault::UnknownKey))?);
        match pair.keys_match() {
            Ok(()) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => Err(self.key.wrong(Fault::OtherKey(self.cert.path.clone()))),
            Err(why) => Err(self.cert.wrong(Fault::BadCertificate { number: 1, why })),
        }
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Tells whether files are as they were, without a copy of them.
pub(crate) fn digest<'a>(files: impl IntoIterator<Item = &'a Secret>) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    for file in files {
        digest.update(&(file.expose().len() as u64).to_be_bytes());
        digest.update(file.expose());
    }
    digest.finish().as_ref().to_vec()
}
