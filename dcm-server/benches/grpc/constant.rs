//! The yardstick: tonic, which answers every call with one message.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use anyhow::Result;
use dcm_proto::v1 as pb;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Ready, ready},
};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, UnaryService},
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

#[derive(Clone, Debug)]
struct Constant(pb::GetLogicalCloudResponse);

impl NamedService for Constant {
    const NAME: &'static str = "dcm.v1.LogicalClouds";
}

impl UnaryService<pb::GetLogicalCloudRequest> for Constant {
    type Response = pb::GetLogicalCloudResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<pb::GetLogicalCloudRequest>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

impl Service<http::Request<Body>> for Constant {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        async move { Ok(Grpc::new(ProstCodec::default()).unary(this, request).await) }.boxed()
    }
}

/// The service alone.
pub(crate) fn routes(message: &[u8]) -> Result<Routes> {
    Ok(Routes::new(Constant(pb::GetLogicalCloudResponse::decode(message)?)))
}

/// Serves it with tonic's own server, and prints where.
pub(crate) async fn serve(message: &[u8]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_routes(routes(message)?).serve_with_incoming(incoming).await?;
    Ok(())
}
