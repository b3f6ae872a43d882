//! A way to the server that can be cut.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// All goes through.
    Open,
    /// What the client sends goes through; answers are lost.
    Mute,
    /// Connections end, and new ones at once.
    Cut,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    /// Each connection holds it.
    open: Arc<()>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, seen) = watch::channel(Way::Open);
        let (mut tasks, open) = (JoinSet::new(), Arc::new(()));
        let held = Arc::downgrade(&open);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (held, seen) = (held.upgrade(), seen.clone());
                connections.spawn(async move {
                    pass(client, server, seen).await;
                    drop(held);
                });
            }
        });
        Self { address, way, open, _tasks: tasks }
    }

    /// From now on, for connections that are there too, until those are gone; opening it again leaves them as they are.
    pub(crate) async fn set(&self, way: Way) {
        self.way.send(way).unwrap();
        while way == Way::Cut && Arc::strong_count(&self.open) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    if *way.borrow_and_update() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut listening = way.clone();
    let forth = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let back = async {
        if *listening.borrow() == Way::Open {
            tokio::select! {
                _ = copy(&mut from_server, &mut to_client) => return,
                _ = listening.wait_for(|way| *way != Way::Open) => {}
            }
        }
        let _ = copy(&mut from_server, &mut sink()).await;
    };
    tokio::select! {
        _ = async { tokio::join!(forth, back) } => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}
