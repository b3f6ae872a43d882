use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use crate::Error;

/// All entries of a list, read page by page as they are taken. An error is the last that comes.
pub type Pages<T> = BoxStream<'static, Result<T, Error>>;

/// Reads pages until there is no next one: `ask` has the entries of one, and what asks for the next.
pub(crate) fn all<M, T, F>(first: M, ask: F) -> Pages<T>
where
    M: Send + 'static,
    T: Send + 'static,
    F: Fn(M) -> BoxFuture<'static, Result<(Vec<T>, Option<M>), Error>> + Send + 'static,
{
    let pages = stream::try_unfold(Some(first), move |next| {
        let page = next.map(&ask);
        async move {
            match page {
                Some(page) => page.await.map(Some),
                None => Ok(None),
            }
        }
    });
    pages.map_ok(|entries| stream::iter(entries.into_iter().map(Ok))).try_flatten().boxed()
}
