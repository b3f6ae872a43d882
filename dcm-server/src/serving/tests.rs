//! An edge as gRPC's is: over HTTP/2 alone, both ways at once, with trailers.

use std::{convert::Infallible, net::Ipv4Addr};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

/// Sends back what it gets, and then trailers.
#[derive(Debug, Default)]
struct Echo(ConnectionMetrics);

impl Edge for Echo {
    const NAME: &'static str = "echo";
    const BOTH_WAYS: bool = true;
    const PROTOCOLS: Protocols = Protocols::Http2;

    fn limits(&self) -> Limits {
        let second = Duration::from_secs(1);
        Limits {
            connections: 2,
            head_size: 16 * 1024,
            header_timeout: second * 30,
            write_timeout: second * 30,
            stop_timeout: second * 30,
            http2: Http2 { streams: 1024, stream_window: 64 * 1024, connection_window: 512 * 1024, sent: 16 * 1024 },
        }
    }

    fn metrics(&self) -> &ConnectionMetrics {
        &self.0
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let end = stream::once(async { Ok(Frame::trailers(trailers)) });
        Response::new(Body::new(StreamBody::new(
            request.into_body().into_data_stream().map(|data| data.map(Frame::data)).chain(end),
        )))
    }

    fn is_watch(_: &Response<Body>) -> bool {
        true
    }

    fn stop_watches(&self) {}

    async fn finish(&self) {}
}

type Sent = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

struct Call {
    say: UnboundedSender<Bytes>,
    answer: Incoming,
}

async fn call(sender: &mut SendRequest<Sent>) -> Call {
    let (say, said) = unbounded_channel();
    let said = stream::unfold(said, |mut said| async { said.recv().await.map(|data| (Ok(Frame::data(data)), said)) });
    sender.ready().await.unwrap();
    let request = Request::post("http://localhost/echo").body(Sent::new(StreamBody::new(said))).unwrap();
    let answer = sender.send_request(request).await.unwrap().into_body();
    Call { say, answer }
}

async fn connect(server: &Server) -> SendRequest<Sent> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    drop(tokio::spawn(connection));
    sender
}

#[tokio::test]
async fn hundreds_of_streams_of_one_connection_go_both_ways_at_once_and_end_with_their_trailers() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::start(listener, Echo::default(), None).unwrap();
    let mut sender = connect(&server).await;
    let mut calls = Vec::new();
    for _ in 0..300 {
        calls.push(call(&mut sender).await);
    }
    for word in ["one", "two"] {
        for call in &mut calls {
            call.say.send(Bytes::from_static(word.as_bytes())).unwrap();
            let frame = call.answer.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), word);
        }
    }
    for Call { say, mut answer } in calls {
        drop(say);
        let trailers = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert!(answer.frame().await.is_none());
    }
    server.stop().await;
}
