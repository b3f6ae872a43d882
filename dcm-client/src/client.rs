use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::{Clusters, Controllers, Error, LogicalClouds, Projects, Reply, Retry, retry::Effect};

/// How long one attempt may take, where nothing else is said.
const DEADLINE: Duration = Duration::from_secs(30);

/// What all calls of a connection together may have on the way. HTTP/2 ends a connection with many small frames that nobody has read, the
/// sooner the smaller this is: many quiet watches on one connection need a large one.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// What one call may have on the way: a watch that is not read holds no more.
const STREAM_WINDOW: u32 = 256 * 1024;

/// After so much silence on a connection with calls the server is asked for a sign of life, and has as long again to give it.
const ALIVE: Duration = Duration::from_secs(15);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Describes a connection to a server, `http://host:port`, also where a connector of one's own makes it TLS.
///
/// # Errors
/// [`Error::Address`] if that is none.
pub fn endpoint(address: impl Into<String>) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(address.into()).map_err(Error::Address)?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE))
}

/// A client of one server, or of several behind one address. Clones share its connection.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    deadline: Duration,
    retry: Retry,
}

impl Client {
    /// Connects to a server, without TLS; [`Client::new`] takes a channel with it.
    ///
    /// # Errors
    /// [`Error::Address`], or [`Error::NotConnected`] if the server is not there; nothing is tried twice here.
    pub async fn connect(address: impl Into<String>) -> Result<Self, Error> {
        let channel = endpoint(address)?.connect().await.map_err(|error| Error::NotConnected(Box::new(error)))?;
        Ok(Self::new(channel))
    }

    /// Connects with the first call: the server may come later. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Address`]
    pub fn lazy(address: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::new(endpoint(address)?.connect_lazy()))
    }

    /// A client on a channel of the caller's own, best one of an [`endpoint`].
    pub fn new(channel: Channel) -> Self {
        Self { channel, deadline: DEADLINE, retry: Retry::default() }
    }

    /// The same with another time for each attempt of a call; of a watch, for its beginning.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same with other retries.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Logical clouds, and what belongs to them.
    pub fn logical_clouds(&self) -> LogicalClouds {
        LogicalClouds::new(self.clone())
    }

    /// Projects.
    pub fn projects(&self) -> Projects {
        Projects::new(self.clone())
    }

    /// Cluster providers, clusters, their labels and kv-pairs.
    pub fn clusters(&self) -> Clusters {
        Clusters::new(self.clone())
    }

    /// Controllers.
    pub fn controllers(&self) -> Controllers {
        Controllers::new(self.clone())
    }

    pub(crate) const fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Tries, and tries again where that is safe.
    pub(crate) async fn call<M: Clone, A>(
        &self,
        message: M,
        effect: Effect,
        attempt: impl AsyncFn(Channel, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<Reply<A>, Error> {
        let mut attempts = 1;
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(self.deadline);
            let error = match self.within(attempt(self.channel.clone(), request)).await {
                Ok(response) => return Ok(Reply::of(response)),
                Err(error) => error,
            };
            if attempts >= self.retry.attempts || !effect.allows(&error) {
                return Err(error);
            }
            sleep(self.retry.pause(attempts, &error)).await;
            attempts += 1;
        }
    }

    /// Begins a stream; the server is not told of a deadline, since that would be the stream's.
    pub(crate) async fn open<M, A>(
        &self,
        message: M,
        attempt: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        self.within(attempt(self.channel.clone(), Request::new(message))).await.map(Response::into_inner)
    }

    async fn within<A>(
        &self,
        attempt: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<Response<A>, Error> {
        match timeout(self.deadline, attempt).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(status)) if !Error::is_deadline(&status) => Err(Error::of(status)),
            _ => Err(Error::TimedOut(self.deadline)),
        }
    }
}
