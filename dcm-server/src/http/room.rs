//! Room in memory, which all requests share: for bodies that come, and for answers that wait for their clients.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given in blocks of so many bytes.
const BLOCK: usize = 1024;

/// For how long a body waits for room. Bodies that are half there hold what they have while they wait, so it has to be short:
/// the first that gives up makes room for the others.
const WAIT: Duration = Duration::from_secs(1);

/// So much room as there is for all requests together.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

/// What one body has of it, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Room,
    permit: Option<OwnedSemaphorePermit>,
}

/// There is no room, and will be none soon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(BLOCK).min(Semaphore::MAX_PERMITS))))
    }

    pub(crate) const fn none(self) -> Held {
        Held { room: self, permit: None }
    }
}

impl Held {
    /// Takes what is lacking to hold so many bytes.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = bytes.div_ceil(BLOCK).saturating_sub(held);
        if lacking == 0 {
            return Ok(());
        }
        let blocks = u32::try_from(lacking).map_err(|_| Full)?;
        let more = tokio::time::timeout(WAIT, Arc::clone(&self.room.0).acquire_many_owned(blocks));
        let more = more.await.map_err(|_| Full)?.map_err(|_| Full)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_all_the_room_there_is_finds_room() {
        let mut held = Room::new(BLOCK + 1).none();
        assert_eq!(held.grow(BLOCK + 1).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn half_bodies_that_wait_for_each_other_do_not_wait_for_ever() {
        let room = Room::new(4 * BLOCK);
        let (mut one, mut two) = (room.clone().none(), room.clone().none());
        one.grow(2 * BLOCK).await.unwrap();
        two.grow(BLOCK + 1).await.unwrap();
        let first = async {
            let grown = one.grow(4 * BLOCK).await;
            drop(one);
            grown
        };
        let second = async {
            tokio::time::sleep(WAIT / 2).await;
            two.grow(4 * BLOCK).await
        };
        assert_eq!(tokio::join!(first, second), (Err(Full), Ok(())));
        drop(two);
        assert_eq!(room.0.available_permits(), 4);
    }
}
