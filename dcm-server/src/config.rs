//! What can be configured: the only place that reads the command line, the environment and the configuration file.

mod file;
mod limits;
mod option;
mod role;
mod shown;
mod sources;
mod tls;
mod values;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Command, FromArgMatches as _, ValueEnum, error::ErrorKind};
use dcm_core::{
    credential::KeyAlgorithm,
    model::{KubeconfigRules, Policy},
    service::{DriftPolicy, Settings},
};

pub use limits::LimitOptions;
pub use role::{CaKind, PeerAddress, Role, SynchronizerKind};
pub(crate) use shown::shown;
pub(crate) use sources::{Given, prepare, read, unknown_variables};
pub use tls::TlsOptions;

/// How a server serves.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What this process does: all, or one of the parts that work together on one MongoDB: dcm (serves clients), synchronizer (works
    /// on clusters) and ca (keys, with a store of its own).
    #[arg(long, env = "DCM_ROLE", value_enum, default_value_t)]
    pub role: Role,

    /// Where to listen for HTTP; port 0 takes any free one.
    #[arg(long, env = "DCM_HTTP", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9077", value_parser = values::address)]
    pub http: SocketAddr,

    /// Where to listen for gRPC; port 0 takes any free one.
    #[arg(long, env = "DCM_GRPC", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9078", value_parser = values::address)]
    pub grpc: SocketAddr,

    /// Where records are kept.
    #[command(flatten)]
    pub storage: StoreOptions,

    /// What carries work to clusters: kube (their API servers), simulated (clusters inside of this process), or with --role dcm, which
    /// reaches no cluster itself, where a synchronizer serves gRPC, such as https://dcm-synchronizer:9078; a controller called rsync is
    /// the same.
    #[arg(long, env = "DCM_SYNCHRONIZER", value_name = "SYNCHRONIZER", default_value = "kube", value_parser = values::synchronizer)]
    pub synchronizer: SynchronizerKind,

    /// What keeps the roots of logical clouds and signs their intermediates: builtin (this process; with --role dcm a controller called
    /// ca, where one is registered), or where a CA serves gRPC, such as https://dcm-ca:9078. Give all main servers on a store the same.
    #[arg(long, env = "DCM_CA", value_name = "CA", default_value = "builtin", value_parser = values::ca)]
    pub ca: CaKind,

    /// What is logged: error, warn, info, debug or trace, or directives such as info,dcm_server=debug.
    #[arg(long, env = "DCM_LOG", value_name = "FILTER", default_value = "info", value_parser = values::filter)]
    pub log: String,

    /// How it is logged.
    #[arg(long, env = "DCM_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// A further host name that the server goes by in the header fields Host and Origin; may be repeated.
    #[arg(long, env = "DCM_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',', value_parser = values::host)]
    pub allowed_host: Vec<String>,

    /// Listen beyond loopback although whoever reaches the port can do everything.
    #[arg(long, env = "DCM_INSECURE_LISTEN_WITHOUT_AUTHENTICATION", value_parser = values::boolean)]
    pub insecure_listen_without_authentication: bool,

    /// With whom connections are secure.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// What tenants may do.
    #[command(flatten)]
    pub policy: PolicyOptions,

    /// How work is carried to clusters.
    #[command(flatten)]
    pub work: WorkOptions,

    /// How much is served at once, and for how long.
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// Where records are kept, and the key to their secrets: the same for the server and for every command.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Where records are kept: sled:DIRECTORY, mongodb://HOST/DATABASE (with a password best as DCM_STORE), or memory:
    /// (keeps nothing).
    #[arg(long, env = "DCM_STORE", hide_env_values = true, value_name = "STORE", default_value = "sled:./dcm-data", value_parser = values::Store)]
    pub store: dcm_store::Config,

    /// The file with the key that secrets are encrypted with. The server makes it where it is missing, and requires it with
    /// MongoDB; an import warns where it lacks a key; an export does not read it [default: the sled data's directory with
    /// .key behind its name; none for memory:].
    #[arg(long, env = "DCM_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    pub encryption_key_file: Option<PathBuf>,
}

/// What tenants may do, beyond the defaults that are safe for tenants who do not trust each other.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Policy")]
pub struct PolicyOptions {
    /// A reserved namespace (default, istio-system, kube-*) that logical clouds may use; may be repeated.
    #[arg(long, env = "DCM_ALLOW_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',', value_parser = values::namespace)]
    pub allow_namespace: Vec<String>,

    /// Allow admin clouds (level "0").
    #[arg(long, env = "DCM_ALLOW_ADMIN_CLOUDS", value_parser = values::boolean)]
    pub allow_admin_clouds: bool,

    /// Allow permissions for the whole cluster (namespace "").
    #[arg(long, env = "DCM_ALLOW_CLUSTER_WIDE_PERMISSIONS", value_parser = values::boolean)]
    pub allow_cluster_wide_permissions: bool,

    /// Allow permissions in other namespaces.
    #[arg(long, env = "DCM_ALLOW_FOREIGN_NAMESPACE_PERMISSIONS", value_parser = values::boolean)]
    pub allow_foreign_namespace_permissions: bool,

    /// Allow permissions by which their holder can widen his own rights or limits.
    #[arg(long, env = "DCM_ALLOW_PRIVILEGED_PERMISSIONS", value_parser = values::boolean)]
    pub allow_privileged_permissions: bool,

    /// Refuse logical clouds that take over namespaces that are there already (adoption-policy): whoever may reaches
    /// what is in them with his permissions. What is on clusters already stays; an apply of such a logical cloud is refused.
    #[arg(long, env = "DCM_REFUSE_ADOPTION", value_parser = values::boolean)]
    pub refuse_adoption: bool,

    /// Whether projects are made on first use, or must be registered before.
    #[arg(long, env = "DCM_PROJECTS", value_enum, default_value_t)]
    pub projects: Projects,

    /// Allow uploaded kubeconfigs to skip the check of the API server's certificate.
    #[arg(long, env = "DCM_ALLOW_KUBECONFIG_INSECURE_SKIP_TLS_VERIFY", value_parser = values::boolean)]
    pub allow_kubeconfig_insecure_skip_tls_verify: bool,

    /// Allow uploaded kubeconfigs to name a proxy.
    #[arg(long, env = "DCM_ALLOW_KUBECONFIG_PROXY_URL", value_parser = values::boolean)]
    pub allow_kubeconfig_proxy_url: bool,

    /// Allow uploaded kubeconfigs to lead to http:// servers.
    #[arg(long, env = "DCM_ALLOW_KUBECONFIG_PLAIN_HTTP", value_parser = values::boolean)]
    pub allow_kubeconfig_plain_http: bool,
}

/// How work is carried to clusters.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Work on clusters")]
pub struct WorkOptions {
    /// How long users' certificates and tokens live; they are renewed at two thirds of it. At least 10m.
    #[arg(long, env = "DCM_CREDENTIAL_LIFETIME", value_name = "DURATION", default_value = "90d", value_parser = values::lifetime)]
    pub credential_lifetime: Duration,

    /// How long a cluster may take to become as ordered before the order counts as failed.
    #[arg(long, env = "DCM_DEADLINE", value_name = "DURATION", default_value = "10m", value_parser = values::period)]
    pub deadline: Duration,

    /// The kind of users' keys.
    #[arg(long, env = "DCM_CREDENTIAL_KEY", value_enum, default_value_t)]
    pub credential_key: CredentialKey,

    /// How long a cluster must have been away before a reference to it can be deleted by force.
    #[arg(long, env = "DCM_FORCE_AFTER", value_name = "DURATION", default_value = "10m", value_parser = values::duration)]
    pub force_after: Duration,

    /// What is done about what others changed, made or deleted of a logical cloud on its clusters.
    #[arg(long, env = "DCM_DRIFT", value_enum, default_value_t)]
    pub drift: DriftChoice,

    /// How often applied logical clouds are looked at again, for drift; 0 for never.
    #[arg(long, env = "DCM_RESYNC_PERIOD", value_name = "DURATION", default_value = "10m", value_parser = values::duration)]
    pub resync_period: Duration,

    /// How long a server may be silent before others on the same store take its work over, from 1s to 10m. Of no account where
    /// the store is sled or memory, which one server has to itself.
    #[arg(long, env = "DCM_LEASE", value_name = "DURATION", default_value = "15s", value_parser = values::lease)]
    pub lease: Duration,

    /// How many clusters are worked on side by side.
    #[arg(long, env = "DCM_CLUSTER_CONCURRENCY", value_name = "NUMBER", default_value = "64", value_parser = values::count)]
    pub cluster_concurrency: usize,
}

/// What is done about drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DriftChoice {
    /// It is brought back.
    #[default]
    Repair,
    /// The status shows it.
    Report,
}

impl From<DriftChoice> for DriftPolicy {
    fn from(choice: DriftChoice) -> Self {
        match choice {
            DriftChoice::Repair => Self::Repair,
            DriftChoice::Report => Self::Report,
        }
    }
}

/// A kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CredentialKey {
    /// ECDSA on P-256.
    #[default]
    EcdsaP256,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// RSA with 4096 bits.
    #[value(name = "rsa-4096")]
    Rsa4096,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// Whether projects are registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Projects {
    /// They are made on first use.
    #[default]
    Implicit,
    /// They must be there before.
    Registered,
}

impl From<CredentialKey> for KeyAlgorithm {
    fn from(key: CredentialKey) -> Self {
        match key {
            CredentialKey::EcdsaP256 => Self::EcdsaP256,
            CredentialKey::Ed25519 => Self::Ed25519,
            CredentialKey::Rsa2048 => Self::Rsa2048,
            CredentialKey::Rsa4096 => Self::Rsa4096,
        }
    }
}

impl Config {
    /// Reads options, without a program's name before them, the environment, and the file that `--config` or `DCM_CONFIG`
    /// names.
    ///
    /// # Errors
    /// A message that names each wrong value, where it was given, and what is allowed.
    pub fn from_options<T: Into<OsString> + Clone>(options: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("dcm-server"));
        let given = read(command, options.into_iter().map(Into::into).collect())?;
        Self::from_arg_matches(&given.matches)?.checked()
    }

    /// What no single value shows.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        if self.limits.max_bodies_in_memory < self.limits.max_body_size {
            let text = "--max-bodies-in-memory (or DCM_MAX_BODIES_IN_MEMORY) must not be less than --max-body-size: no body of \
                        that size would find room\n";
            return Err(clap::Error::raw(ErrorKind::ValueValidation, text));
        }
        Ok(self)
    }

    /// How the use cases behave.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            policy: self.policy.policy(),
            key_algorithm: self.work.credential_key.into(),
            force_after: self.work.force_after,
            credential_lifetime: self.work.credential_lifetime,
            deadline: self.work.deadline,
            drift: self.work.drift.into(),
            owner: self.role.store_owner(),
            ..Settings::default()
        }
    }

    /// The key file, given or by default; `None` where secrets are kept no longer than this process.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        self.storage.key_file()
    }
}

impl StoreOptions {
    /// The key file, given or by default; `None` where secrets are kept no longer than this process.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        match (&self.encryption_key_file, &self.store) {
            (Some(file), _) => Some(file.clone()),
            (None, dcm_store::Config::Sled(sled)) => {
                // Beside the data and not among it: `cp -r` of the data does not take the key along.
                let mut path: OsString = sled.path.components().collect::<PathBuf>().into_os_string();
                path.push(".key");
                Some(path.into())
            }
            (None, _) => None,
        }
    }
}

impl PolicyOptions {
    fn policy(&self) -> Policy {
        Policy {
            allowed_namespaces: self.allow_namespace.clone(),
            admin_clouds: self.allow_admin_clouds,
            cluster_wide_permissions: self.allow_cluster_wide_permissions,
            foreign_namespace_permissions: self.allow_foreign_namespace_permissions,
            privileged_permissions: self.allow_privileged_permissions,
            refuse_adoption: self.refuse_adoption,
            registered_projects: self.projects == Projects::Registered,
            kubeconfigs: KubeconfigRules {
                insecure_skip_tls_verify: self.allow_kubeconfig_insecure_skip_tls_verify,
                proxy_url: self.allow_kubeconfig_proxy_url,
                plain_http: self.allow_kubeconfig_plain_http,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str]) -> Result<Config, String> {
        Config::from_options(options.iter().copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_options_the_defaults_are_in_force() {
        let config = read(&[]).unwrap();
        assert_eq!(config.http.to_string(), "127.0.0.1:9077");
        assert_eq!(config.grpc.to_string(), "127.0.0.1:9078");
        assert_eq!(config.settings().policy, Policy::default());
        assert_eq!(config.settings().credential_lifetime, Settings::default().credential_lifetime);
        assert_eq!(config.settings().deadline, Settings::default().deadline);
        assert_eq!(config.settings().force_after, Settings::default().force_after);
        assert_eq!(config.settings().key_algorithm, KeyAlgorithm::default());
        assert_eq!(config.work.resync_period, Duration::from_secs(600));
    }

    #[test]
    fn the_key_lies_beside_the_sled_data() {
        let key_file = |options: &[&str]| read(options).unwrap().key_file();
        assert_eq!(key_file(&[]), Some("./dcm-data.key".into()));
        assert_eq!(key_file(&["--store", "sled:/var/lib/dcm/"]), Some("/var/lib/dcm.key".into()));
        assert_eq!(key_file(&["--store", "memory:"]), None);
        assert_eq!(key_file(&["--store", "memory:", "--encryption-key-file", "/k"]), Some("/k".into()));
    }

    #[test]
    fn a_name_with_a_comma_is_one_name() {
        let config =
            read(&["--allowed-identity", "Acme, Inc.", "--allowed-identity=a,b", "--allowed-host=x,y"]).unwrap();
        assert_eq!(config.tls.allowed_identity, ["Acme, Inc.", "a,b"]);
        assert_eq!(config.allowed_host, ["x", "y"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "allowed-identity = [\"Acme, Inc.\", \"b\"]\n").unwrap();
        let config = read(&["--config", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(config.tls.allowed_identity, ["Acme, Inc.", "b"]);
    }

    #[test]
    fn a_wrong_connection_string_is_not_quoted() {
        for store in ["mongodb://user:s3cret@host/?w=1", "redis://user:s3cret@host", "mongodb://user:s3cret/x@host/"] {
            let error = read(&["--store", store]).unwrap_err();
            assert!(error.contains("--store") && !error.contains("s3cret") && !error.contains("user:s"), "{error}");
        }
        let config = read(&["--store", "mongodb://user:s3cret@host/"]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    }

    #[test]
    fn a_wrong_value_names_the_option_and_what_is_allowed() {
        for (option, value, allowed) in [
            ("--http", "here", "127.0.0.1:9077"),
            ("--grpc", "there", "127.0.0.1:9077"),
            ("--store", "redis://x", "sled:<path>"),
            ("--role", "boss", "synchronizer"),
            ("--synchronizer", "magic", "simulated"),
            ("--synchronizer", "https://x", "9078"),
            ("--ca", "none", "builtin"),
            ("--ca", "https://x", "9078"),
            ("--log-format", "xml", "json"),
            ("--allow-namespace", "Kube", "DNS-1123"),
            ("--projects", "maybe", "registered"),
            ("--credential-key", "dsa", "rsa-4096"),
            ("--credential-lifetime", "1s", "10m"),
            ("--deadline", "soon", "90d"),
            ("--resync-period", "-1s", "10m"),
            ("--cluster-concurrency", "0", "1"),
            ("--lease", "999ms", "1s"),
            ("--allowed-host", "a b", "host name"),
            ("--allowed-identity", "a\tb", "control"),
            ("--log", "a=b=c", "directives"),
            ("--max-body-size", "1MB", "512KiB"),
            ("--max-body-size", "1GiB", "16MiB"),
            ("--max-bodies-in-memory", "1KiB", "1MiB"),
            ("--max-json-depth", "65", "64"),
            ("--max-header-size", "1KiB", "4KiB"),
            ("--write-timeout", "0", "30s"),
            ("--allow-admin-clouds", "maybe", "true or false"),
        ] {
            let error = read(&[&format!("{option}={value}")]).unwrap_err();
            assert!(error.contains(option) && error.contains(allowed), "{error}");
        }
    }
}
