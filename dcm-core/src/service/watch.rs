//! Watches: a list, or one derived answer, as it is and then as it changes.
//!
//! A watch takes a position, reads what is there page by page, and then tells what came after the position; what
//! happens while it reads is told between the pages. So nothing is missed, and what is told last of a record is how it
//! is. A store's watch promises no more ([`Store::watch`](crate::store::Store::watch)), and no less.

mod derived;
mod flight;
mod list;
mod parent;
mod position;
mod shared;

use futures_core::stream::BoxStream;

use crate::error::Error;

pub(super) use derived::Derived;
pub(super) use parent::Parent;
pub(super) use position::Start;
pub use position::WatchPosition;
pub(super) use shared::{Derivable, SharedViews, Views};

/// One thing that a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent<V> {
    /// A watch that is begun from here tells what comes after this event.
    pub position: WatchPosition,
    /// What is told.
    pub news: News<V>,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum News<V> {
    /// A record is there, or has changed: how it is.
    Put(V),
    /// The record of this name is gone.
    Deleted(String),
    /// All that was there when the watch began has been told. Told once, by a watch that began without a position.
    Synced,
    /// What the watched records belong to is gone, and they with it. Nothing follows.
    Ended,
}

/// A stream of what there is and what changes.
///
/// # Guarantees
/// - **The last state arrives**: what is told last of a record is the state that it is left in.
/// - **Without a gap**: that holds across a resumption from any event's position too; where it cannot, the watch is
///   refused, or ends, with an error of the kind [`Expired`](crate::error::ErrorKind::Expired).
/// - **Bounded**: what is not asked for is not read; a watch holds one page of records at most.
///
/// # Caveats
/// States that are replaced shortly after may be left out. While the present records are told, one that is being changed may
/// be told more than once, an older state after a newer one; likewise, that a record is gone which was never told. Where a selector
/// goes with the watch, a record that is changed and that it does not select is told as gone, whether it was told before or not.
///
/// An error is the last item.
pub type Watch<V> = BoxStream<'static, Result<WatchEvent<V>, Error>>;
