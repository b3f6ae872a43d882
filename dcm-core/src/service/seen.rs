use super::{CloudId, Dcm, Expected, Ordered, Revocation};
use crate::{error::Error, lifecycle::Event, model::LogicalCloud};

/// Orders for a logical cloud that was seen before: each is taken only where it is still in the state that was seen.
///
/// # Guarantees
/// An order that is taken was given at that very state: whoever wrote in between, an edit or another order, makes it fail with
/// [`Error::Changed`], and nothing is changed.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    dcm: &'a Dcm,
    expected: Expected<'a>,
}

impl Dcm {
    /// The orders for logical clouds, for one that was seen in this state; for one in any state where it is `None`.
    #[must_use]
    pub const fn seen<'a>(&'a self, expected: Expected<'a>) -> Seen<'a> {
        Seen { dcm: self, expected }
    }
}

impl Seen<'_> {
    /// As [`Dcm::apply`].
    ///
    /// # Errors
    /// As there; [`Error::Changed`] where it is in another state.
    pub async fn apply(&self, id: &CloudId, event: Event, force: bool) -> Result<Ordered, Error> {
        self.dcm.apply_at(id, event, force, self.expected).await
    }

    /// As [`Dcm::terminate`].
    ///
    /// # Errors
    /// As there; [`Error::Changed`] where it is in another state.
    pub async fn terminate(&self, id: &CloudId, force: bool) -> Result<LogicalCloud, Error> {
        self.dcm.order(id, Event::Terminate, force, self.expected).await
    }

    /// As [`Dcm::stop`].
    ///
    /// # Errors
    /// As there; [`Error::Changed`] where it is in another state.
    pub async fn stop(&self, id: &CloudId) -> Result<LogicalCloud, Error> {
        self.dcm.order(id, Event::Stop, false, self.expected).await
    }

    /// As [`Dcm::revoke_user`].
    ///
    /// # Errors
    /// As there; [`Error::Changed`] where it is in another state.
    pub async fn revoke_user(&self, id: &CloudId) -> Result<Revocation, Error> {
        self.dcm.revoke_user_at(id, self.expected).await
    }

    /// As [`Dcm::renew_user`].
    ///
    /// # Errors
    /// As there; [`Error::Changed`] where it is in another state.
    pub async fn renew_user(&self, id: &CloudId) -> Result<LogicalCloud, Error> {
        self.dcm.renew_user_at(id, self.expected).await
    }
}
