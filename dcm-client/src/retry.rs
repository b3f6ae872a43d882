use std::time::Duration;

use crate::Error;

/// How often, and after which pauses, a call is tried again. What is safe to try again is in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// At most so many attempts are made of one call; 1 or 0: it is never repeated.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles from there. Longer where the server asks for that.
    pub first_pause: Duration,
    /// The longest pause, where the server does not ask for a longer one.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(5) }
    }
}

impl Retry {
    /// Each call has one attempt.
    pub const NEVER: Self = Self { attempts: 1, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };

    /// How long to wait after so many attempts that failed in a row, the last one with this error.
    pub(crate) fn pause(&self, failed: u32, error: &Error) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        let pause = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        // Not all at once: those who were cut off together would come again together.
        pause.mul_f64(0.5 + fastrand::f64() / 2.0).max(error.retry_after().unwrap_or_default())
    }
}

/// What a second attempt of a call could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it changes nothing, or is refused if the first one was carried out.
    Harmless,
    /// The same once more.
    Again,
}

impl Effect {
    /// That of a write under this condition. One that holds for any state guards nothing.
    pub(crate) fn of_condition(if_match: &str) -> Self {
        if if_match.trim().is_empty() || if_match.contains('*') { Self::Again } else { Self::Harmless }
    }

    /// Whether a call that failed like this may be tried again.
    pub(crate) fn allows(self, error: &Error) -> bool {
        error.nothing_was_done() || (self == Self::Harmless && error.is_unavailable())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let retry = Retry::default();
        let error = Error::of(Status::unavailable("away"));
        for (failed, most) in [(1, 100), (2, 200), (3, 400), (7, 5000), (u32::MAX, 5000)] {
            let (pause, most) = (retry.pause(failed, &error), Duration::from_millis(most));
            assert!(pause <= most && pause >= most / 2, "{failed}: {pause:?}");
        }
    }

    #[test]
    fn only_a_condition_on_one_state_makes_a_write_harmless() {
        for (condition, effect) in
            [("\"1\"", Effect::Harmless), ("\"1\", \"2\"", Effect::Harmless), ("", Effect::Again), ("*", Effect::Again)]
        {
            assert_eq!(Effect::of_condition(condition), effect, "{condition}");
        }
    }

    #[test]
    fn a_write_is_not_repeated_where_it_may_have_been_done() {
        let away = Error::of(Status::unavailable("somewhere on the way"));
        assert!(Effect::Harmless.allows(&away));
        assert!(!Effect::Again.allows(&away));
    }
}
