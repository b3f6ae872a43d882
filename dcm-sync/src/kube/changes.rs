//! What one call has changed on a cluster.

use std::sync::{Mutex, PoisonError};

use dcm_core::sync::{Change, ChangeKind, ObjectId};

/// Changes, noted while several objects are worked on side by side. An object is in here once.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<Vec<Change>>);

impl Changes {
    /// Notes what was done to an object. What is made after it was deleted is replaced; what is changed
    /// after it was made is made.
    pub(super) fn note(&self, id: &ObjectId, change: ChangeKind) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|noted| noted.id == *id) {
            Some(noted) if noted.change == ChangeKind::Delete && change != ChangeKind::Delete => {
                noted.change = ChangeKind::Replace;
            }
            Some(noted) if change == ChangeKind::Delete => noted.change = change,
            Some(_) => {}
            None => all.push(Change { id: id.clone(), change }),
        }
    }

    pub(super) fn all(self) -> Vec<Change> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::object::namespace_id;

    #[test]
    fn an_object_is_noted_once_with_what_became_of_it() {
        use ChangeKind::{Create, Delete, Replace, Update};
        for (steps, expected) in [
            (vec![Create], Create),
            (vec![Create, Update], Create),
            (vec![Update, Update], Update),
            (vec![Delete, Create, Update], Replace),
            (vec![Update, Delete], Delete),
        ] {
            let changes = Changes::default();
            for step in steps {
                changes.note(&namespace_id("ns"), step);
            }
            let all = changes.all();
            assert_eq!(all, [Change { id: namespace_id("ns"), change: expected }]);
        }
    }
}
