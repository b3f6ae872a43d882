//! When to stop, and when to read again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP, which asks to take files again that have changed. From the call on, it does not end the process any more.
///
/// # Errors
/// Where signals cannot be listened to.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Waits for SIGTERM or SIGINT, and says which it was. From the call on, not from its first poll, they do not end the
/// process any more.
///
/// # Errors
/// Where signals cannot be listened to.
pub fn requested() -> io::Result<impl Future<Output = &'static str>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    })
}
