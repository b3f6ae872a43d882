//! How a connection becomes secure, and what becomes of one that does not.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{PeerIdentity, Protocols, ServerTls};

/// How long who is turned away may take to read why, and how much he may send meanwhile: closed before he has sent all, his
/// connection would be reset, and what he was told be lost.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);

/// What HTTP/2 begins with.
const PREFACE: &[u8; 4] = b"PRI ";

const NOT_PLAIN: &str = "this port speaks TLS: use https";

impl ServerTls {
    /// Makes a connection secure. `None` where it is none: whoever is there has been told then.
    pub(crate) async fn accept(
        &self,
        mut stream: TcpStream,
        protocols: Protocols,
    ) -> Option<(TlsStream<TcpStream>, Option<PeerIdentity>)> {
        let mut first = [0; 4];
        let found = stream.peek(&mut first).await.ok()?;
        // Who comes and goes only looks whether somebody listens.
        let byte = first[..found].first()?;
        // TLS begins with a 22.
        if byte.is_ascii_uppercase() {
            self.metrics().failed();
            tracing::debug!("a client did not speak TLS");
            let answer = if first == *PREFACE { goaway() } else { bad_request() };
            let _ = stream.write_all(&answer).await;
            linger(stream).await;
            return None;
        }
        let acceptor = TlsAcceptor::from(self.config(protocols));
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                match shown.map(PeerIdentity::of).transpose() {
                    Ok(identity) => Some((stream, identity)),
                    Err(error) => {
                        // Verified, and of a form that nobody reads.
                        tracing::warn!(%error, "a client's certificate could not be read");
                        self.metrics().failed();
                        None
                    }
                }
            }
            Err((error, stream)) => {
                self.metrics().failed();
                tracing::debug!(%error, "a connection did not become secure");
                linger(stream).await;
                None
            }
        }
    }

    /// Counts a connection that took too long to become secure.
    pub(crate) fn too_slow(&self) {
        self.metrics().failed();
        tracing::debug!("a connection took too long to become secure");
    }
}

async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (within, most) = LINGER;
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(most as u64), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(within, read).await;
}

fn bad_request() -> Vec<u8> {
    let body = format!(r#"{{"type":"about:blank","title":"Bad Request","status":400,"detail":"{NOT_PLAIN}"}}"#);
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Settings, and a goodbye that says why (RFC 9113, section 6.8): `INADEQUATE_SECURITY`.
fn goaway() -> Vec<u8> {
    let why = NOT_PLAIN.as_bytes();
    let length = u8::try_from(why.len().saturating_add(8)).unwrap_or(8);
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    frames.extend([0, 0, length, 7, 0, 0, 0, 0, 0]);
    frames.extend([0, 0, 0, 0, 0, 0, 0, 12]);
    frames.extend(&why[..usize::from(length).saturating_sub(8)]);
    frames
}
