use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lifecycle, Phase};
use crate::model::Uid;

/// So many of the last orders are remembered.
const REMEMBERED: usize = 16;

/// An order that was given for a logical cloud, for those who ask what was done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Action {
    /// What was ordered.
    pub kind: ActionKind,
    /// When.
    pub at: Timestamp,
    /// Which of all orders it is, the first being 1.
    pub number: u64,
    /// The frozen state that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Uid>,
}

/// What was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Clusters are to hold the logical cloud.
    Applied,
    /// Clusters that hold it are to hold another state of it.
    Updated,
    /// Clusters are to hold nothing of it.
    Terminated,
    /// Work on applying it is to end.
    ApplyStopped,
    /// Work on terminating it is to end.
    TerminateStopped,
    /// An action that only a newer release knows.
    #[serde(other)]
    Other,
}

impl Lifecycle {
    /// This, the lifecycle with a new order in it, with that order remembered. One that repeats the last is not.
    pub(crate) fn remembering(mut self, before: &Self, at: Timestamp) -> Self {
        if let Some(kind) = self.differs_by(before) {
            let number = self.actions.last().map_or(0, |last| last.number) + 1;
            self.actions.push(Action { kind, at, number, state: self.history.last().cloned() });
            let forgotten = self.actions.len().saturating_sub(REMEMBERED);
            self.actions.drain(..forgotten);
        }
        self
    }

    fn differs_by(&self, before: &Self) -> Option<ActionKind> {
        let same_state = self.applied_generation == before.applied_generation;
        match (before.phase, self.phase) {
            (Phase::Applied, Phase::Applied) if same_state => None,
            (Phase::Applied, Phase::Applied) => Some(ActionKind::Updated),
            (_, Phase::Applied) => Some(ActionKind::Applied),
            (Phase::Stopped, Phase::Stopped) => None,
            (before, Phase::Stopped) if before.is_going() => Some(ActionKind::TerminateStopped),
            (_, Phase::Stopped) => Some(ActionKind::ApplyStopped),
            (before, now) if now.is_going() && !before.is_going() => Some(ActionKind::Terminated),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lifecycle after an order of this phase; another state is applied where it says so.
    fn order(before: &Lifecycle, phase: Phase, another: bool) -> Lifecycle {
        let mut now = Lifecycle { phase, ..before.clone() };
        if another {
            now.applied_generation += 1;
            now.history.push(Uid::from_random([u8::try_from(now.applied_generation % 256).unwrap(); 16]));
        }
        now.remembering(before, Timestamp::UNIX_EPOCH)
    }

    fn kinds(lifecycle: &Lifecycle) -> Vec<ActionKind> {
        lifecycle.actions.iter().map(|action| action.kind).collect()
    }

    #[test]
    fn orders_are_remembered_in_turn_and_repeats_are_not() {
        use ActionKind as K;
        let mut now = Lifecycle::new();
        for (phase, another) in [
            (Phase::Applied, true),
            (Phase::Applied, false),
            (Phase::Applied, true),
            (Phase::Stopped, false),
            (Phase::Stopped, true),
            (Phase::Applied, false),
            (Phase::Terminating, false),
            (Phase::Stopped, false),
            (Phase::Deleting, false),
        ] {
            now = order(&now, phase, another);
        }
        let expected =
            [K::Applied, K::Updated, K::ApplyStopped, K::Applied, K::Terminated, K::TerminateStopped, K::Terminated];
        assert_eq!(kinds(&now), expected);
        let numbers: Vec<u64> = now.actions.iter().map(|action| action.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(now.actions[1].state.as_ref(), now.history.get(1));
    }

    #[test]
    fn only_the_last_are_remembered_and_keep_their_numbers() {
        let mut now = Lifecycle::new();
        for _ in 0..100 {
            now = order(&now, Phase::Applied, true);
        }
        assert_eq!((now.actions.len(), now.actions.last().unwrap().number), (REMEMBERED, 100));
    }
}
