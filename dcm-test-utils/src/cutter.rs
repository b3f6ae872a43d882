//! A relay before a server, which cuts connections around requests that a test names.

#![allow(clippy::expect_used, reason = "what a test needs and cannot have ends it")]

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    task::JoinHandle,
};

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the request reaches the server.
    Request,
    /// After the server has answered, and before the answer reaches the client.
    Answer,
}

/// Relays connections to a port of this machine, until it is dropped.
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Plan {
    what: Mutex<Option<(Cut, Vec<u8>)>>,
    times: AtomicUsize,
    done: AtomicUsize,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cutter {
    /// Starts to relay, and cuts nothing yet.
    ///
    /// # Panics
    /// Where no port is to be had.
    pub async fn before(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let plan = Arc::new(Plan::default());
        let shared = Arc::clone(&plan);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target, Arc::clone(&shared)));
            }
        });
        Self { port, plan, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the next requests, so many, that hold these bytes.
    pub fn cut(&self, cut: Cut, bytes: &[u8], times: usize) {
        *self.plan.what.lock().unwrap_or_else(PoisonError::into_inner) = Some((cut, bytes.to_vec()));
        self.plan.done.store(0, Ordering::SeqCst);
        self.plan.times.store(times, Ordering::SeqCst);
    }

    /// How many were cut since it was last told to.
    #[must_use]
    pub fn done(&self) -> usize {
        self.plan.done.load(Ordering::SeqCst)
    }
}

impl Plan {
    /// Whether, and when, this request is cut; it is counted then.
    fn of(&self, request: &[u8]) -> Option<Cut> {
        let what = self.what.lock().unwrap_or_else(PoisonError::into_inner);
        let (cut, _) = what.as_ref().filter(|(_, bytes)| request.windows(bytes.len()).any(|part| part == bytes))?;
        let take = |left: usize| left.checked_sub(1);
        self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).ok()?;
        self.done.fetch_add(1, Ordering::SeqCst);
        Some(*cut)
    }
}

async fn relay(client: TcpStream, target: u16, plan: Arc<Plan>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = Arc::new(Notify::new());
    // Either end takes the other with it.
    tokio::select! {
        _ = requests(from_client, to_server, &plan, &cut) => {}
        _ = answers(from_server, to_client, &cut) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, plan: &Plan, cut: &Notify) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let request = buffer.get(..length).filter(|request| !request.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        match plan.of(request) {
            Some(Cut::Request) => return Ok(()),
            Some(Cut::Answer) => cut.notify_one(),
            None => {}
        }
        to.write_all(request).await?;
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &Notify) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let answer = buffer.get(..length).filter(|answer| !answer.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        tokio::select! {
            biased;
            () = cut.notified() => return Ok(()),
            () = std::future::ready(()) => {}
        }
        to.write_all(answer).await?;
    }
}
