//! Servers of MongoDB's protocol for tests: one that is given, or one of a test's own, which it may stop, freeze and break.
//!
//! `testbed/mongodb start` prints the two variables that name them.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test needs and cannot have ends it")]

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

#[cfg(unix)]
use rustix::process::{Pid, Signal, WaitOptions};

use crate::{
    address::free_port,
    environment::{skip, variable},
    patience::until_so,
};

/// The connection string of a server that tests may use, each with a database of its own.
const URI: &str = "DCM_TEST_MONGODB_URI";

/// The program of a server that tests may start.
const SERVER: &str = "DCM_TEST_MONGODB_SERVER";

/// Says that a suite is left out for want of a variable.
fn unset(name: &str, what: &str) {
    skip(&format!("{name} is not set; eval \"$(testbed/mongodb start)\" sets it"), what);
}

/// A connection string with a new database on the server that is given, or `None` where none is.
///
/// `what` is what is left out then.
#[must_use]
pub fn fresh_database(what: &str) -> Option<String> {
    match variable(URI) {
        Some(uri) => Some(with_database(&uri, &random_name())),
        None => {
            unset(URI, what);
            None
        }
    }
}

/// A name for a database that no other test has.
#[must_use]
pub fn random_name() -> String {
    format!("dcm-test-{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// The same connection string with another database.
#[must_use]
pub fn with_database(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").expect("a connection string");
    let (place, options) = rest.split_once('?').map_or((rest, String::new()), |(p, o)| (p, format!("?{o}")));
    let authority = place.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}/{database}{options}")
}

/// A server of a test's own, in a process of its own. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    options: Vec<String>,
    data: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts one with these options and its data in a folder, or answers `None` where there is no program.
    ///
    /// `what` is what is left out then.
    #[must_use]
    pub async fn start(data: &Path, options: &[&str], what: &str) -> Option<Self> {
        let Some(program) = variable(SERVER) else {
            unset(SERVER, what);
            return None;
        };
        let options = options.iter().map(ToString::to_string).collect();
        let (program, port) = (program.into(), free_port());
        let mut server = Self { program, options, data: data.to_owned(), port, child: None };
        server.restart().await;
        Some(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A connection string without user and options.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// Starts it again, with its data and at its address, and waits until it listens.
    pub async fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::create(self.data.with_extension("log")).expect("a log");
        let child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--storage-path"])
            .arg(&self.data)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let child = self.child.insert(child.expect("the server starts"));
        let listens = async || {
            assert_eq!(child.try_wait().expect("its state"), None, "the server has ended; see its log");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        };
        until_so(Duration::from_secs(60), "listening", listens).await;
    }

    /// [`restart`](Self::restart) with other options, after an end in good order: its own records need not be in a journal.
    #[cfg(unix)]
    pub async fn restart_with(&mut self, options: &[&str]) {
        self.signal(Signal::TERM);
        let mut has_ended =
            || self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()));
        // The stand-in may hang at its end. What it has not written then is missed by the test that needs it.
        for _ in 0..200 {
            if has_ended() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.kill();
        self.options = options.iter().map(ToString::to_string).collect();
        self.restart().await;
    }

    /// Ends it with SIGKILL; its data stay.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("its end");
        }
    }

    /// Freezes it: it takes connections and answers nothing.
    ///
    /// When this returns, the last of its threads has stopped.
    #[cfg(unix)]
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // The signal alone promises nothing: a thread that runs on another processor may answer one more request.
        let stopped = rustix::process::waitpid(Some(self.id()), WaitOptions::UNTRACED).expect("its state");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "{stopped:?}");
    }

    /// Lets it go on.
    #[cfg(unix)]
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.id(), signal).expect("a signal");
    }

    #[cfg(unix)]
    fn id(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
