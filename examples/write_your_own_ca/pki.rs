//! An in-house PKI as a CA for DCM: a folder of files, and the `openssl` program that signs.
//!
//! ```text
//! <folder>/<cloud uid>/root.pem, root.key, trust-domain
//! <folder>/<cloud uid>/<cluster>.<generation>/ca.pem, key.pub
//! <folder>/<cloud uid>/forgotten
//! ```
//!
//! A folder is filled beside its place and then moved there, so it is whole or not there at all, and whoever comes second finds it
//! taken. That is all that "issued once" takes. What this PKI cannot do (another root, revocation) it refuses and says what to do
//! instead.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use dcm_core::{
    ca::{Anchor, Bundle, CaProvider, Error, Generation, Intermediate, IntermediateRequest, Revoked, Rotation},
    fault::Faults,
    model::Uid,
    name::ClusterIdentity,
};
use jiff::Timestamp;

/// What a root says of itself.
const ROOT: &str = "basicConstraints=critical,CA:true,pathlen:1\nkeyUsage=critical,keyCertSign,cRLSign\n\
                    subjectKeyIdentifier=hash\n";

/// What is left of a logical cloud that is forgotten.
const FORGOTTEN: &str = "forgotten";

/// A PKI in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    folder: PathBuf,
}

impl Pki {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn issue(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let IntermediateRequest { cloud, cluster, generation, csr_pem } = request;
        let home = self.folder.join(cloud.uid.as_str());
        let mut faults = Faults::new();
        check_domain(&home, request, &mut faults).map_err(internal)?;
        let desk = tempfile::tempdir_in(&self.folder).map_err(internal)?;
        let key = faults.check("/csr", check_request(desk.path(), csr_pem));
        faults.into_result().map_err(Error::Invalid)?;
        let key = key.unwrap_or_default();

        let place = home.join(format!("{cluster}.{generation}"));
        if !place.exists() {
            if !home.exists() {
                make_root(desk.path(), request).and_then(|made| settle(&made, &home)).map_err(internal)?;
                // It may be somebody else's, who was faster.
                let mut faults = Faults::new();
                check_domain(&home, request, &mut faults).map_err(internal)?;
                faults.into_result().map_err(Error::Invalid)?;
            }
            sign(desk.path(), &home, request).and_then(|made| settle(&made, &place)).map_err(internal)?;
        }
        // Whoever was first is answered; this one as well, if it is his key.
        if fs::read_to_string(place.join("key.pub")).map_err(internal)? != key {
            return Err(Error::OtherKey { cluster: cluster.clone(), generation: *generation });
        }
        self.answer(&cloud.uid, &place, *generation).map_err(internal)
    }

    /// The mark stays for good, so whoever comes later finds neither a root nor room for one.
    fn forget(&self, cloud: &Uid) -> anyhow::Result<()> {
        let (home, desk) = (self.folder.join(cloud.as_str()), tempfile::tempdir_in(&self.folder)?);
        let made = desk.path().join("home");
        fs::create_dir(&made)?;
        fs::write(made.join(FORGOTTEN), "")?;
        settle(&made, &home)?;
        fs::write(home.join(FORGOTTEN), "")?;
        for entry in fs::read_dir(&home)? {
            let path = entry?.path();
            let removed = match path.file_name() {
                Some(name) if name == FORGOTTEN => Ok(()),
                _ if path.is_dir() => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            };
            // Somebody else who forgets it at this moment may be faster.
            removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    /// Answers only if the logical cloud was not forgotten, and is not by then: whatever the work found of what was going.
    fn unless_forgotten<T>(&self, cloud: &Uid, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let mark = self.folder.join(cloud.as_str()).join(FORGOTTEN);
        let check = || if mark.exists() { Err(Error::Forgotten { cloud: cloud.clone() }) } else { Ok(()) };
        check()?;
        let answer = work();
        check()?;
        answer
    }

    fn answer(&self, cloud: &Uid, place: &Path, generation: Generation) -> anyhow::Result<Intermediate> {
        let bundle = self.bundle_of(cloud)?.context("the root is gone")?;
        let file = place.join("ca.pem");
        let certificate_pem = fs::read_to_string(&file)?;
        let (not_before, not_after, serial) = facts(&file)?;
        Ok(Intermediate {
            generation,
            root_generation: bundle.issuing,
            chain_pem: format!("{certificate_pem}{}", bundle.pem()),
            certificate_pem,
            serial,
            not_before,
            not_after,
            bundle,
        })
    }

    fn bundle_of(&self, cloud: &Uid) -> anyhow::Result<Option<Bundle>> {
        let file = self.folder.join(cloud.as_str()).join("root.pem");
        let Some(certificate_pem) = read_if_there(&file)? else { return Ok(None) };
        let (not_before, not_after, _) = facts(&file)?;
        let anchor = Anchor { generation: Generation::FIRST, certificate_pem, not_before, not_after };
        Ok(Some(Bundle { cloud: cloud.clone(), issuing: Generation::FIRST, anchors: vec![anchor] }))
    }
}

/// A call of a program blocks, so it is made where that hurts nobody.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?
}

#[async_trait]
impl CaProvider for Pki {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let (pki, request) = (self.clone(), request.clone());
        apart(move || pki.unless_forgotten(&request.cloud.uid, || pki.issue(&request))).await
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error> {
        let (pki, cloud) = (self.clone(), cloud.clone());
        let unknown = Error::UnknownCloud { cloud: cloud.clone() };
        apart(move || pki.unless_forgotten(&cloud, || pki.bundle_of(&cloud).map_err(internal)?.ok_or(unknown))).await
    }

    async fn rotate(&self, _: &Uid, _: Rotation) -> Result<Bundle, Error> {
        let instead = "roots are replaced by the PKI team, once a year: open a ticket".to_owned();
        Err(Error::Unsupported { what: "the rotation of a root".to_owned(), instead })
    }

    async fn revoke(&self, _: &Uid, _: &ClusterIdentity, _: Generation) -> Result<Revoked, Error> {
        let instead = "ask for the next generation, and have the PKI team replace the root".to_owned();
        Err(Error::Unsupported { what: "revocation".to_owned(), instead })
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        let (pki, cloud) = (self.clone(), cloud.clone());
        apart(move || pki.forget(&cloud).map_err(internal)).await
    }
}

fn check_domain(home: &Path, request: &IntermediateRequest, faults: &mut Faults) -> io::Result<()> {
    let known = read_if_there(&home.join("trust-domain"))?;
    if known.is_some_and(|known| known != request.cloud.trust_domain.as_str()) {
        faults.add("/trust-domain", "is another one for this logical cloud");
    }
    Ok(())
}

/// Checks a request, and answers its public key.
fn check_request(desk: &Path, csr_pem: &str) -> anyhow::Result<String> {
    ensure!(csr_pem.matches("-----BEGIN CERTIFICATE REQUEST-----").count() == 1, "must be one PKCS #10 request in PEM");
    fs::write(desk.join("request.csr"), csr_pem)?;
    let (key, said) = openssl(desk, &["req", "-in", "request.csr", "-verify", "-noout", "-pubkey"])
        .context("is no request that is signed with its own key")?;
    // Some releases say so and end well all the same.
    ensure!(said.contains("verify OK"), "is not signed with the key that it is for");
    fs::write(desk.join("request.pub"), &key)?;
    let (text, _) = openssl(desk, &["pkey", "-pubin", "-in", "request.pub", "-noout", "-text_pub"])?;
    let bits =
        text.split_once('(').and_then(|(_, rest)| rest.split_once(" bit")).context("has a key of an odd kind")?.0;
    let curve = text.lines().find_map(|line| line.strip_prefix("NIST CURVE: "));
    match (curve, bits) {
        (Some("P-256" | "P-384"), _) => Ok(key),
        (None, "2048" | "3072" | "4096") if text.contains("Modulus:") => Ok(key),
        (None, bits) if text.contains("Modulus:") => {
            bail!("has an RSA key with {bits} bits: give it 2048, 3072 or 4096")
        }
        _ => bail!("must have a key on P-256 or P-384, or an RSA key"),
    }
}

fn make_root(desk: &Path, request: &IntermediateRequest) -> anyhow::Result<PathBuf> {
    let cloud = &request.cloud;
    let made = desk.join("root");
    fs::create_dir(&made)?;
    fs::write(made.join("trust-domain"), cloud.trust_domain.as_str())?;
    fs::write(desk.join("root.ext"), ROOT)?;
    openssl(desk, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "root/root.key"])?;
    openssl(desk, &["req", "-new", "-key", "root/root.key", "-subj", "/CN=none", "-out", "root.csr"])?;
    let subject = format!("/O=In-house PKI/CN=root of {}", cloud.uid);
    let serial = serial(desk)?;
    let sign =
        ["x509", "-req", "-in", "root.csr", "-signkey", "root/root.key", "-subj", &subject, "-set_serial", &serial];
    openssl(desk, &[&sign[..], &["-days", "3650", "-extfile", "root.ext", "-out", "root/root.pem"]].concat())?;
    Ok(made)
}

/// Everything but the key is the PKI's to say: `openssl` takes neither subject nor extensions of the request.
fn sign(desk: &Path, home: &Path, request: &IntermediateRequest) -> anyhow::Result<PathBuf> {
    let IntermediateRequest { cloud, generation, .. } = request;
    let made = desk.join("intermediate");
    fs::create_dir(&made)?;
    fs::rename(desk.join("request.pub"), made.join("key.pub"))?;
    let extensions = format!(
        "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\nsubjectAltName=URI:spiffe://{}\n",
        cloud.trust_domain
    );
    fs::write(desk.join("intermediate.ext"), extensions)?;
    let (number, root, key) = (serial(desk)?, home.join("root.pem"), home.join("root.key"));
    let (root, key) = (root.to_string_lossy(), key.to_string_lossy());
    // The number tells the subjects of all generations and clusters apart.
    let subject = format!("/O=In-house PKI/CN={} generation {generation}/serialNumber={number}", cloud.uid);
    let sign = ["x509", "-req", "-in", "request.csr", "-CA", &root, "-CAkey", &key, "-subj", &subject, "-days", "90"];
    let rest = ["-set_serial", &number, "-extfile", "intermediate.ext", "-out", "intermediate/ca.pem"];
    openssl(desk, &[&sign[..], &rest].concat())?;
    Ok(made)
}

/// Moves what was made to its place; where somebody else was faster, his stays.
fn settle(made: &Path, place: &Path) -> anyhow::Result<()> {
    match fs::rename(made, place) {
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => Ok(()),
        other => other.context("moving what was made to its place"),
    }
}

/// A number with 124 random bits, as `openssl` takes it.
fn serial(desk: &Path) -> anyhow::Result<String> {
    let (random, _) = openssl(desk, &["rand", "-hex", "16"])?;
    Ok(format!("0x4{}", random.trim().get(1..).context("random digits")?))
}

/// When a certificate begins and ends, and its number.
fn facts(certificate: &Path) -> anyhow::Result<(Timestamp, Timestamp, String)> {
    let file = certificate.to_string_lossy();
    let asked = ["x509", "-in", &file, "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601", "-serial"];
    let (text, _) = openssl(Path::new("."), &asked)?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).context("a field is missing");
    let serial = field("serial=")?.to_lowercase();
    Ok((field("notBefore=")?.parse()?, field("notAfter=")?.parse()?, serial))
}

/// What the program writes, and what it says beside.
fn openssl(desk: &Path, arguments: &[&str]) -> anyhow::Result<(String, String)> {
    let output = Command::new("openssl").args(arguments).current_dir(desk).output().context("running openssl")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let what = arguments.first().copied().unwrap_or_default();
    ensure!(output.status.success(), "openssl {what} failed: {said}");
    Ok((String::from_utf8(output.stdout)?, said))
}

fn read_if_there(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn internal(error: impl Into<anyhow::Error>) -> Error {
    Error::Internal(error.into().into())
}
