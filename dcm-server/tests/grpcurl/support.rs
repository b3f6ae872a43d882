//! grpcurl, servers for it, and certificates for both.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use dcm_core::store::Store;
use dcm_server::{Config, Running};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::environment::{skip, variable};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The codes of gRPC.
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: i32 = 3;
    pub(crate) const NOT_FOUND: i32 = 5;
    pub(crate) const PERMISSION_DENIED: i32 = 7;
    pub(crate) const FAILED_PRECONDITION: i32 = 9;
    pub(crate) const ABORTED: i32 = 10;
    pub(crate) const UNIMPLEMENTED: i32 = 12;
}

/// The program.
pub(crate) struct Grpcurl(String);

impl Grpcurl {
    pub(crate) fn find(what: &str) -> Option<Self> {
        let found = variable("DCM_TEST_GRPCURL").map(Self);
        if found.is_none() {
            skip(
                "DCM_TEST_GRPCURL does not name grpcurl; testbed/tool grpcurl does",
                &format!("gRPC by grpcurl: {what}"),
            );
        }
        found
    }

    /// The program with these options, at a server.
    pub(crate) fn of(&self, server: &Running, options: &[&str]) -> Asks {
        let options = ["-max-time", "60"].iter().chain(options).map(|option| (*option).to_owned()).collect();
        Asks { program: self.0.clone(), options, to: format!("localhost:{}", server.grpc_addr().port()) }
    }
}

/// Ready to ask a server.
pub(crate) struct Asks {
    program: String,
    options: Vec<String>,
    to: String,
}

impl Asks {
    /// With the `.proto` files in place of reflection, for what a server does not tell of.
    pub(crate) fn with_our_files(mut self) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dcm-proto/proto").display().to_string();
        let protos = ["sync/v1/resource_synchronizer", "sync/v1/cluster_gateway", "ca/v1/ca_key_distribution"];
        self.options.extend(["-import-path".to_owned(), folder]);
        self.options.extend(protos.iter().flat_map(|file| ["-proto".to_owned(), format!("dcm/{file}.proto")]));
        self
    }

    /// Runs it with what comes before the address, and behind it.
    fn command(&self, before: &[&str], behind: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options).args(before).arg(&self.to).args(behind);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Options, then a verb or a method with its symbol.
    pub(crate) fn say(&self, words: &[&str]) -> Called {
        let options = words.iter().take_while(|word| word.starts_with('-')).count();
        let done = self.command(&words[..options], &words[options..]).output().unwrap();
        Called::new(done.status.code(), &done.stdout, &done.stderr)
    }

    pub(crate) fn call(&self, method: &str, message: &Value) -> Called {
        let done = self.command(&["-d", &message.to_string()], &[method]).output().unwrap();
        Called::new(done.status.code(), &done.stdout, &done.stderr)
    }

    /// Calls a method whose answer is a stream.
    pub(crate) fn begin(&self, method: &str, message: &Value) -> Stream {
        let mut child = self.command(&["-d", &message.to_string()], &[method]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Stream { child, lines, told: String::new() }
    }
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Called {
    exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Called {
    fn new(exit: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { exit: exit.expect("was killed"), stdout: text(stdout), stderr: text(stderr) }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.exit == 0
    }

    /// The lines of a good answer.
    #[track_caller]
    pub(crate) fn good(self) -> Vec<String> {
        assert!(self.is_good(), "{self:?}");
        self.stdout.lines().map(str::to_owned).collect()
    }

    /// All messages of a good answer.
    #[track_caller]
    pub(crate) fn messages(self) -> Vec<Value> {
        assert!(self.is_good(), "{self:?}");
        serde_json::Deserializer::from_str(&self.stdout).into_iter().map(Result::unwrap).collect()
    }

    /// The one message of a good answer.
    #[track_caller]
    pub(crate) fn message(self) -> Value {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    /// The status of a call that failed with this code. Only with `-format-error`.
    #[track_caller]
    pub(crate) fn status(self, code: i32) -> Value {
        // So grpcurl ends where a server has answered.
        assert_eq!(self.exit, 64 + code, "{self:?}");
        let status: Value = serde_json::from_str(&self.stderr).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(status["code"], code, "{status}");
        status
    }
}

/// An answer that goes on.
pub(crate) struct Stream {
    child: Child,
    lines: BufReader<ChildStdout>,
    told: String,
}

impl Stream {
    /// Reads on until a line has this. A stream ends with `-max-time`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "ended before {text}: {}", self.told);
            self.told += &line;
        }
    }

    /// Whether it has not ended yet.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Called {
        self.lines.read_to_string(&mut self.told).unwrap();
        let done = self.child.wait_with_output().unwrap();
        Called::new(done.status.code(), self.told.as_bytes(), &done.stderr)
    }
}

/// Files with a CA among them, and servers that are told of them.
pub(crate) struct Place {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), ca.pem()).unwrap();
        Self { folder, ca }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The files of a certificate for these names and of its key.
    pub(crate) fn pair(&self, file: &str, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::default();
        let san = |name: &&str| match *name {
            uri if uri.contains("://") => SanType::URI(uri.try_into().unwrap()),
            host => SanType::DnsName(host.try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let files = (self.path(&format!("{file}.crt")), self.path(&format!("{file}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    async fn start(&self, store: Arc<dyn Store>, options: &[&str]) -> Running {
        dcm_server::install_crypto_provider();
        // The servers on one store have one key.
        let key = self.path("key");
        let usual = ["--http=127.0.0.1:0", "--grpc=127.0.0.1:0", "--store=memory:", "--encryption-key-file", &key];
        let options = usual.iter().chain(options).copied();
        dcm_server::start_on(store, Config::from_options(options).unwrap()).await.unwrap()
    }

    /// A server without TLS.
    pub(crate) async fn plain(&self) -> Running {
        self.plain_on(Arc::new(MemoryStore::default())).await
    }

    pub(crate) async fn plain_on(&self, store: Arc<dyn Store>) -> Running {
        self.start(store, &[]).await
    }

    /// A server with a certificate of the CA.
    pub(crate) async fn secured(&self, options: &[&str]) -> Running {
        self.secured_on(Arc::new(MemoryStore::default()), options).await
    }

    pub(crate) async fn secured_on(&self, store: Arc<dyn Store>, options: &[&str]) -> Running {
        let (cert, key) = self.pair("server", &["localhost"]);
        self.start(store, &[&["--tls-cert", &cert, "--tls-key", &key], options].concat()).await
    }
}

/// What `CreateLogicalCloud` takes.
pub(crate) fn cloud(name: &str) -> Value {
    let permission = json!({ "name": "all", "api_groups": [""], "resources": ["pods"], "verbs": ["get"] });
    json!({
        "project": "p",
        "logical_cloud": {
            "metadata": { "name": name },
            "spec": {
                "namespace": "ns-1",
                "labels": { "tier": "web" },
                "user": { "user_name": "user-1", "type": "USER_TYPE_CERTIFICATE", "user_permissions": [permission] },
            },
        },
    })
}
