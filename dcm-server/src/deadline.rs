//! Until when the answer to a request is waited for: what is asked of other processes for it takes no longer.

use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static END: Instant;
}

/// Serves a request whose client waits this long from now on.
pub(crate) async fn within<F: Future>(time: Duration, serve: F) -> F::Output {
    match Instant::now().checked_add(time) {
        Some(end) => END.scope(end, serve).await,
        None => serve.await,
    }
}

/// How long the client of the request that is being served waits yet; `None` where there is none, or it has no end.
pub(crate) fn left() -> Option<Duration> {
    END.try_with(|end| end.saturating_duration_since(Instant::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_requests_time_grows_less() {
        assert_eq!(left(), None);
        within(Duration::from_secs(5), async {
            assert_eq!(left(), Some(Duration::from_secs(5)));
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(left(), Some(Duration::from_secs(3)));
        })
        .await;
        within(Duration::MAX, async { assert_eq!(left(), None) }).await;
    }
}
