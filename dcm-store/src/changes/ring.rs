use std::collections::VecDeque;

#[cfg(feature = "mongodb")]
use dcm_core::store::Position;
use dcm_core::store::{Body, Key};

use super::Recorded;

/// What a change counts beside its key and body.
const OVERHEAD: usize = 64;

/// The last changes, bounded by their number and their bytes.
pub(crate) struct Ring {
    changes: VecDeque<Recorded>,
    /// The number of the last change that is gone: whoever stands before it has missed something.
    floor: u64,
    /// Where that change was, if any is gone and its position is no number.
    #[cfg(feature = "mongodb")]
    gone: Option<Position>,
    bytes: usize,
    most_changes: usize,
    most_bytes: usize,
}

impl Ring {
    pub(super) fn new(floor: u64, most_changes: usize, most_bytes: usize) -> Self {
        Self {
            changes: VecDeque::new(),
            floor,
            #[cfg(feature = "mongodb")]
            gone: None,
            bytes: 0,
            most_changes,
            most_bytes,
        }
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn last(&self) -> u64 {
        self.changes.back().map_or(self.floor, |change| change.number)
    }

    pub(super) fn push(&mut self, change: Recorded) {
        self.bytes += change.size();
        self.changes.push_back(change);
        while self.changes.len() > 1 && (self.changes.len() > self.most_changes || self.bytes > self.most_bytes) {
            if let Some(gone) = self.changes.pop_front() {
                self.bytes -= gone.size();
                self.floor = gone.number;
                #[cfg(feature = "mongodb")]
                {
                    self.gone = gone.position;
                }
            }
        }
    }

    /// Where the last change that is gone was, where its position is no number.
    #[cfg(feature = "mongodb")]
    pub(crate) fn gone(&self) -> Option<&Position> {
        self.gone.as_ref()
    }

    /// The number of the last change for which this holds, as it must for all before that; of the last that is gone, where it
    /// holds for none.
    #[cfg(feature = "mongodb")]
    pub(crate) fn last_where(&self, holds: impl FnMut(&Recorded) -> bool) -> u64 {
        let count = self.changes.partition_point(holds);
        count.checked_sub(1).and_then(|last| self.changes.get(last)).map_or(self.floor, |last| last.number)
    }

    /// The changes after a number, oldest first.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Recorded> {
        let first = self.changes.partition_point(|change| change.number <= number);
        self.changes.range(first..)
    }
}

impl Recorded {
    /// A change whose number says its revision and its position.
    pub(crate) fn numbered(number: u64, key: Key, body: Option<Body>) -> Self {
        Self { number, key, revision: None, position: None, body }
    }

    /// What it counts.
    pub(super) fn size(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |body| body.as_bytes().len());
        let position = self.position.as_ref().map_or(0, |position| position.as_str().len());
        OVERHEAD + self.key.as_str().len() + position + body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64, bytes: usize) -> Recorded {
        Recorded::numbered(number, "a/b".parse().unwrap(), Some(Body::from_json(vec![b' '; bytes])))
    }

    fn numbers(ring: &Ring, after: u64) -> Vec<u64> {
        ring.after(after).map(|change| change.number).collect()
    }

    #[test]
    fn keeps_no_more_changes_than_it_may_and_says_how_far_back_it_goes() {
        let mut ring = Ring::new(10, 3, usize::MAX);
        assert_eq!((ring.floor(), ring.last()), (10, 10));
        for number in [11, 12, 15, 16] {
            ring.push(change(number, 1));
        }
        assert_eq!((ring.floor(), ring.last()), (11, 16));
        assert_eq!(numbers(&ring, 11), [12, 15, 16]);
        assert_eq!(numbers(&ring, 13), [15, 16]);
        assert_eq!(numbers(&ring, 16), [] as [u64; 0]);
    }

    #[test]
    fn keeps_no_more_bytes_than_it_may_but_always_the_last_change() {
        let mut ring = Ring::new(0, 100, 1000);
        ring.push(change(1, 400));
        ring.push(change(2, 400));
        assert_eq!(ring.floor(), 0);
        ring.push(change(3, 400));
        assert_eq!(ring.floor(), 1);
        ring.push(change(4, 5000));
        assert_eq!((ring.floor(), numbers(&ring, 0)), (3, vec![4]));
        ring.push(change(5, 1));
        assert_eq!((ring.floor(), numbers(&ring, 0)), (4, vec![5]));
    }
}
