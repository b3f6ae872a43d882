//! Flags, environment variables, the configuration file, and what `dcm-server config` makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder with a configuration file.
struct Folder(TempDir);

impl Folder {
    fn with(toml: impl AsRef<[u8]>) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(toml, 0o600);
        folder
    }

    fn write(&self, toml: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.file(), toml).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("dcm.toml")
    }

    /// Runs the program in this folder, with no other environment than this one.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
        command.env_clear().current_dir(&self.0).args(arguments).envs(environment.iter().copied());
        command.output().unwrap()
    }

    /// What `config` prints.
    fn shown(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(&[&["config"], arguments].concat(), environment);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says where it refuses.
    fn refusal(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(&[&["config"], arguments].concat(), environment);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && !error.contains("panicked"), "{error}");
        error
    }
}

const FILE: [&str; 2] = ["--config", "dcm.toml"];

/// The lines without what is behind #.
fn settings(shown: &str) -> Vec<&str> {
    shown.lines().filter(|line| !line.starts_with('#')).map(|line| line.split("  # ").next().unwrap()).collect()
}

#[track_caller]
fn assert_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let folder = Folder::with(
        "http = \"127.0.0.1:1\"\nlog = \"debug\"\n\nmax-connections = 5\ndeadline = \"1m\"\nallow-admin-clouds = true\n\
         refuse-adoption = true\nallow-namespace = [\"default\", \"kube-x\"]\nallowed-host = []\nmax-body-size = 65536\n",
    );
    let flags = [&FILE[..], &["--http", "127.0.0.1:3", "--allow-admin-clouds=false", "--deadline", "3m"]].concat();
    let shown =
        folder.shown(&flags, &[("DCM_HTTP", "127.0.0.1:2"), ("DCM_LOG", "warn"), ("DCM_REFUSE_ADOPTION", "no")]);
    assert_all(
        &shown,
        &[
            "http = \"127.0.0.1:3\"  # flag\n",
            "log = \"warn\"  # environment DCM_LOG\n",
            "max-connections = 5  # dcm.toml:4\n",
            "deadline = \"3m\"  # flag\n",
            "allow-admin-clouds = false  # flag\n",
            "refuse-adoption = false  # environment DCM_REFUSE_ADOPTION\n",
            "allow-namespace = [\"default\", \"kube-x\"]  # dcm.toml:8\n",
            "allowed-host = []  # dcm.toml:9\n",
            "max-body-size = \"65536\"  # dcm.toml:10\n",
            "store = \"sled:./dcm-data\"  # default\n",
            "encryption-key-file = \"./dcm-data.key\"  # default, beside the store\n",
            "synchronizer = \"kube\"  # default\n",
            "allow-privileged-permissions = false  # default\n",
        ],
    );
}

#[test]
fn the_file_is_named_by_a_flag_or_a_variable_and_never_found_by_itself() {
    let folder = Folder::with("log = \"debug\"\n");
    for arguments in
        [&["--config", "dcm.toml"][..], &["--config=dcm.toml"], &["--log-format", "json", "--config=dcm.toml"]]
    {
        assert_all(&folder.shown(arguments, &[("DCM_CONFIG", "none")]), &["log = \"debug\"  # dcm.toml:1\n"]);
    }
    let before = folder.run(&["--config", "dcm.toml", "config"], &[]);
    assert_all(&String::from_utf8(before.stdout).unwrap(), &["log = \"debug\"  # dcm.toml:1\n"]);
    assert_all(&folder.shown(&[], &[("DCM_CONFIG", "dcm.toml")]), &["log = \"debug\"  # dcm.toml:1\n"]);
    assert_all(&folder.shown(&[], &[]), &["log = \"info\"  # default\n"]);
    let other = Folder::with("log = \"warn\"\n");
    let both = ["--config", other.file().to_str().unwrap(), "--config", "dcm.toml"].map(str::to_owned);
    assert_all(&folder.refusal(&both.each_ref().map(String::as_str), &[]), &["--config"]);
    assert_all(&folder.refusal(&["--config"], &[]), &["--config <FILE>"]);
}

#[test]
fn what_is_shown_is_a_file_that_gives_the_same() {
    let folder = Folder::with("log = \"info,dcm_server=debug\"\nstore = \"sled:./a \\\"b\\\\c#\"\n");
    let flags = [&FILE[..], &["--allowed-host", "a.example,b.example", "--allow-kubeconfig-proxy-url"]].concat();
    let first = folder.shown(&flags, &[("DCM_MAX_CONNECTIONS", "0007"), ("DCM_RESYNC_PERIOD", "0")]);
    assert!(settings(&first).len() > 30, "{first}");
    folder.write(&first, 0o600);
    let second = folder.shown(&FILE, &[]);
    assert_eq!(settings(&first), settings(&second));
    assert_all(
        &first,
        &["max-connections = 7  #", "resync-period = \"0\"  #", "[\"a.example\", \"b.example\"]  # flag"],
    );
    assert!(!second.contains("# default") && second.contains("# dcm.toml:"), "{second}");
    // Nothing is kept in memory that would need a key.
    assert_all(&folder.shown(&["--store", "memory:"], &[]), &["# encryption-key-file is not set\n"]);
}

#[cfg(feature = "mongodb")]
#[test]
fn passwords_are_hidden_and_what_hides_them_is_no_password() {
    let folder =
        Folder::with("\nstore = \"mongodb://dcm:s3cret@db-0,db-1/dcm?replicaSet=rs0\"\nencryption-key-file = \"k\"\n");
    let shown = folder.shown(&FILE, &[]);
    assert_all(
        &shown,
        &["store = \"mongodb://dcm:<hidden>@db-0,db-1/dcm?replicaSet=rs0\"  # dcm.toml:2\n", "put that in its place"],
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    folder.write(&shown, 0o600);
    let line = 1 + shown.lines().position(|line| line.starts_with("store")).unwrap();
    assert_all(
        &folder.refusal(&FILE, &[]),
        &[&format!("dcm.toml:{line}: store: "), "put the password in the place of <hidden>"],
    );
    let help = folder.run(&["--config", "dcm.toml", "--help"], &[("DCM_STORE", "mongodb://u:s3cret@h/")]);
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--store") && !help.contains("s3cret") && !help.contains("hidden>"), "{help}");
}

#[test]
fn what_no_server_would_start_with_is_shown_and_fails() {
    let folder = Folder::with("http = \"0.0.0.0:9077\"\n");
    let done = folder.run(&[&["config"], &FILE[..]].concat(), &[]);
    let (shown, said) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(!done.status.success() && shown.contains("http = \"0.0.0.0:9077\"  # dcm.toml:1"), "{shown}");
    assert!(said.contains("--insecure-listen-without-authentication"), "{said}");
}

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_line_and_without_its_value() {
    let folder = Folder::with(
        "http = \"s3cret\"\nmax-conections = 3\nmax_body_size = 3\nmax-connections = \"s3cret\"\nlog-format = \"s3cret\"\n\
         allow-admin-clouds = \"true\"\nallowed-host = \"s3cret\"\nallow-namespace = [\"kube-x\", 3]\nstore = \"redis://u:s3cret@h\"\n\
         s3cret = \"x\"\nconfig = \"other.toml\"\nencryption-key-file = 3\nlog = \"a=b=c\"\ndeadline = 1979-05-27\n[limits]\nmax-connections = 3\n",
    );
    let error = folder.refusal(&FILE, &[("DCM_DEADLINE", "soon")]);
    assert_all(
        &error,
        &[
            "dcm.toml:1: http: must be an IP address and a port",
            "dcm.toml:2: max-conections is not an option: did you mean max-connections?",
            "dcm.toml:3: max_body_size is not an option: did you mean max-body-size?",
            "dcm.toml:4: max-connections: must be a whole number, without quotes",
            "dcm.toml:5: log-format: must be text or json",
            "dcm.toml:6: allow-admin-clouds: must be true or false, without quotes",
            "dcm.toml:7: allowed-host: must be a list of texts",
            "dcm.toml:8: allow-namespace: must be a list of texts",
            "dcm.toml:9: store: the store must be memory:",
            "dcm.toml:10: s3cret is not an option",
            "dcm.toml:11: config: a file names no other file",
            "dcm.toml:12: encryption-key-file: must be a text in quotes",
            "dcm.toml:13: log: must be a level",
            "dcm.toml:14: deadline: must be a text with a number and a unit",
            "dcm.toml:15: limits is a table: options stand without one",
            "DCM_DEADLINE: must be a whole number above 0 with a unit",
        ],
    );
    assert_eq!(error.matches("s3cret").count(), 1, "{error}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line_and_without_its_text() {
    for (toml, parts) in [
        (&b"log = \"info\"\nstore = \"mongodb://u:s3cret@h\n"[..], &["dcm.toml:2: is not TOML: "][..]),
        (b"log = \"info\"\nlog = \"s3cret\"\n", &["dcm.toml:2: the key stands there twice"]),
        (b"http = s3cret\nlog = s3cret\n", &["dcm.toml:1: is not TOML: ", "dcm.toml:2: is not TOML: "]),
        (b"log = \"info\"\nhttp = \"\xff s3cret\"", &["dcm.toml:2: is not UTF-8"]),
    ] {
        let error = Folder::with(toml).refusal(&FILE, &[]);
        assert_all(&error, parts);
        assert!(!error.contains("s3cret"), "{error}");
    }
    let many = (0..1000).map(|n| format!("x{n} = 1\n")).collect::<String>();
    let error = Folder::with(many).refusal(&FILE, &[]);
    assert!(error.contains("and 980 more") && error.len() < 4000, "{error}");
}

#[test]
fn a_file_that_cannot_be_read_or_is_in_others_hands_is_refused() {
    let folder = Folder::with("");
    assert_all(&folder.refusal(&["--config", "none.toml"], &[]), &["--config none.toml cannot be read: No such file"]);
    assert_all(&folder.refusal(&[], &[("DCM_CONFIG", "none.toml")]), &["none.toml cannot be read"]);
    assert_all(&folder.refusal(&["--config", "."], &[]), &["it is a directory"]);
    // Nobody ever writes into this pipe.
    assert!(Command::new("mkfifo").arg(folder.0.path().join("pipe")).status().unwrap().success());
    assert_all(&folder.refusal(&["--config", "pipe"], &[]), &["--config pipe cannot be read: it is no regular file"]);
    assert_all(&folder.refusal(&["--config", "/dev/null"], &[]), &["it is no regular file"]);
    folder.write("#".repeat(64 * 1024 + 1), 0o600);
    assert_all(&folder.refusal(&FILE, &[]), &["more than 65536 bytes"]);
    folder.write("log = \"info\"\n", 0o666);
    assert_all(&folder.refusal(&FILE, &[]), &["dcm.toml may be written by everybody (mode 0666): chmod o-w"]);
    folder.write("log = \"info\"\n", 0o664);
    folder.shown(&FILE, &[]);
    if cfg!(feature = "mongodb") {
        for (mode, is_refused) in [(0o644, true), (0o660, true), (0o640, false), (0o600, false)] {
            folder.write("store = \"mongodb://u:s3cret@h/\"\nencryption-key-file = \"k\"\n", mode);
            let output = folder.run(&["config", "--config", "dcm.toml"], &[]);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(error.contains("has a password in it"), is_refused, "{mode:o}: {error}");
            assert_eq!(output.status.success(), !is_refused, "{mode:o}");
        }
    }
}

#[test]
fn a_wrong_variable_is_named_and_a_misspelt_one_is_told_of() {
    let folder = Folder::with("");
    let wrong =
        [("DCM_HTTP", "s3cret"), ("DCM_ALLOWED_HOST", "a,b c"), ("DCM_STORE", "mongodb:/u:s3cret"), ("DCM_DRIFT", "")];
    let error = folder.refusal(&[], &wrong);
    assert_all(
        &error,
        &[
            "DCM_HTTP: must be",
            "DCM_ALLOWED_HOST: must be a host name",
            "DCM_STORE: ",
            "DCM_DRIFT: must be repair or report",
        ],
    );
    assert!(!error.contains("s3cret"), "{error}");
    let odd = [
        ("DCM_HTPP", "s3cret"),
        ("DCM_MAX_CONECTIONS", "3"),
        ("DCM_SOMETHING", "s3cret"),
        ("DCM_TEST_KUBECONFIGS", "x"),
        ("DCM_PORT", "tcp://10.0.0.1:9077"),
        ("DCM_SERVICE_HOST", "10.0.0.1"),
        ("DCM_SERVICE_PORT_HTTP", "9077"),
        ("DCM_PORT_9077_TCP_ADDR", "10.0.0.1"),
    ];
    let told = folder.run(&["config"], &odd);
    let told = String::from_utf8(told.stderr).unwrap();
    assert_all(
        &told,
        &[
            "DCM_HTPP is not read: did you mean DCM_HTTP?",
            "DCM_MAX_CONECTIONS is not read: did you mean DCM_MAX_CONNECTIONS?",
            "DCM_SOMETHING is not read: no option has this variable",
        ],
    );
    assert_eq!((told.lines().count(), told.contains("s3cret")), (3, false), "{told}");
    // A command that works says so in its log.
    let exported = folder.run(&["export"], &[("DCM_HTPP", "s3cret")]);
    assert_all(
        &String::from_utf8(exported.stderr).unwrap(),
        &["DCM_HTPP is not read", "there is no store in ./dcm-data"],
    );
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let folder = Folder::with("max-body-size = \"2MiB\"\nmax-bodies-in-memory = \"1MiB\"\n");
    assert_all(&folder.refusal(&FILE, &[]), &["--max-bodies-in-memory", "--max-body-size"]);
    let served = folder.run(&FILE, &[]);
    assert!(!served.status.success());
}

#[test]
fn commands_take_their_store_and_key_from_the_file_too() {
    let folder = Folder::with("store = \"sled:./here\"\nencryption-key-file = \"./here.key\"\n");
    let missing = folder.run(&["export", "--config", "dcm.toml"], &[]);
    assert_all(&String::from_utf8(missing.stderr).unwrap(), &["there is no store in ./here:"]);
    let missing = folder.run(&["--config", "dcm.toml", "export"], &[("DCM_STORE", "sled:./there")]);
    assert_all(&String::from_utf8(missing.stderr).unwrap(), &["there is no store in ./there:"]);
    let missing = folder.run(&["rotate-key", "--config", "dcm.toml"], &[]);
    assert_all(&String::from_utf8(missing.stderr).unwrap(), &["./here.key"]);
    let none = folder.run(&["rotate-key"], &[]);
    assert_all(&String::from_utf8(none.stderr).unwrap(), &["--encryption-key-file"]);
    folder.write("store = \"memory:\"\n", 0o600);
    let memory = folder.run(&["import", "x", "--config", "dcm.toml"], &[]);
    assert_all(&String::from_utf8(memory.stderr).unwrap(), &["keeps nothing beyond this command"]);
    assert!(!Path::new("./here").exists());
}
