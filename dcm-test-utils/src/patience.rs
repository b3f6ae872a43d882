//! Waiting for what comes a moment later.

#![allow(clippy::panic, reason = "what does not come ends its test")]

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;

/// How long nothing is asked between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer, which it returns; it asks once at least.
///
/// # Panics
/// Where there is none within this time: with what was waited for, and what was seen last.
pub async fn until<T, E: Display>(
    within: Duration,
    what: impl Display,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + within;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) => assert!(Instant::now() < end, "not {what} within {within:?}: {seen:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// [`until`] something is so.
///
/// # Panics
/// Where it is not within this time.
pub async fn until_so(within: Duration, what: impl Display, mut so: impl AsyncFnMut() -> bool) {
    until(within, what, async || so().await.then_some(()).ok_or("it is not")).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = until(Duration::from_secs(20), "there", async || {
            asked += 1;
            if asked == 3 { Ok(asked) } else { Err(asked) }
        });
        assert_eq!(answer.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not there within 30ms: it is not")]
    async fn gives_up_in_time() {
        until_so(Duration::from_millis(30), "there", async || false).await;
    }
}
