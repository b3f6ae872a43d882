use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dcm_core::{
    model::{Member, Uid},
    store::{Entry, Revision},
};

/// How long to wait at the least before the others are looked at again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The other members, as they were seen last, by this process's own clock.
#[derive(Debug, Default)]
pub(crate) struct Others {
    seen: HashMap<Uid, Seen>,
    gone: bool,
}

#[derive(Debug)]
struct Seen {
    revision: Revision,
    /// Just after the answer that showed this state first: it was written before that.
    since: Instant,
    lease: Duration,
}

impl Others {
    /// Takes in who was found between two moments; answers who was silent for his whole lease. `own` is nobody where who looks is no
    /// member.
    pub(crate) fn look<'a>(
        &mut self,
        found: &'a [Entry<Member>],
        own: Option<&Uid>,
        asked: Instant,
        answered: Instant,
    ) -> Vec<&'a Entry<Member>> {
        let before = self.seen.len();
        self.seen.retain(|id, _| found.iter().any(|member| member.value.id == *id));
        self.gone |= self.seen.len() < before;
        let mut silent = Vec::new();
        for member in found.iter().filter(|member| Some(&member.value.id) != own) {
            match self.seen.get(&member.value.id) {
                Some(seen) if seen.revision == member.revision => {
                    // That it was still so is known for the moment of the question, not of the answer.
                    if asked.saturating_duration_since(seen.since) > seen.lease {
                        silent.push(member);
                    }
                }
                _ => {
                    let (revision, lease) = (member.revision.clone(), member.value.lease());
                    self.seen.insert(member.value.id.clone(), Seen { revision, since: answered, lease });
                }
            }
        }
        silent
    }

    /// Notes that a member was expelled.
    pub(super) fn expelled(&mut self, member: &Uid) {
        self.seen.remove(member);
        self.gone = true;
    }

    /// Whether a member has gone since this was asked last.
    pub(super) fn take_gone(&mut self) -> bool {
        std::mem::take(&mut self.gone)
    }

    /// How long it is until one of them may have been silent for too long.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let due = self.seen.values().map(|seen| (seen.since + seen.lease).saturating_duration_since(now)).min()?;
        Some(due + SHORTEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn member(number: u8, revision: &str) -> Entry<Member> {
        let id = Uid::from_random([number; 16]);
        let value = Member { id, started_at: Timestamp::UNIX_EPOCH, lease_ms: 15_000, beat: 0 };
        Entry { key: "member/x".parse().unwrap(), revision: Revision::new(revision), value }
    }

    #[test]
    fn who_is_silent_for_a_whole_lease_is_found_and_nobody_else() {
        let (mut others, start) = (Others::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let own = member(1, "a").value.id;
        let mut look = |found: &[Entry<Member>], asked, answered| {
            others
                .look(found, Some(&own), asked, answered)
                .iter()
                .map(|member| member.value.id.clone())
                .collect::<Vec<_>>()
        };
        let [me, two, three] = [member(1, "a"), member(2, "a"), member(3, "a")];
        assert!(look(&[me.clone(), two.clone(), three.clone()], at(0), at(1)).is_empty());
        let spoken = member(3, "b");
        assert!(look(&[me.clone(), two.clone(), spoken.clone()], at(10), at(11)).is_empty());
        // Asked before the lease was over, whenever the answer came.
        assert!(look(&[me.clone(), two.clone(), spoken.clone()], at(16), at(30)).is_empty());
        assert_eq!(
            look(&[me.clone(), two.clone(), spoken.clone()], at(17), at(17)),
            std::slice::from_ref(&two.value.id)
        );
        assert_eq!(look(&[me, two.clone(), spoken.clone()], at(27), at(27)), [two.value.id, spoken.value.id]);
    }

    #[test]
    fn who_has_gone_is_noticed_once() {
        let (mut others, now) = (Others::default(), Instant::now());
        let (own, other) = (member(1, "a").value.id, member(2, "a"));
        assert_eq!(others.due(now), None);
        others.look(std::slice::from_ref(&other), Some(&own), now, now);
        assert_eq!(others.due(now), Some(LEASE + SHORTEST_PAUSE));
        assert!(!others.take_gone());
        others.look(&[], Some(&own), now, now);
        assert!(others.take_gone() && !others.take_gone());
        others.look(std::slice::from_ref(&other), Some(&own), now, now);
        others.expelled(&other.value.id);
        assert!(others.take_gone());
    }
}
