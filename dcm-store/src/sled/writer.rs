//! The one thread that writes.

use std::{
    collections::HashMap,
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ::sled::{Batch, Db};
use dcm_core::store::{Body, BoxError, Document, Error, Key};
use tokio::sync::{mpsc, oneshot};

use super::{
    lately::Lately,
    read_failed,
    record::{self, Head},
};
use crate::{
    changes::{Journal, Recorded, unavailable},
    revision::Expected,
};

/// How many writes, or bytes of them, go into one batch. sled lets no reader in while it applies one.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;

/// How many numbers are reserved at a time: writing each one's number down would mean one more write, always to
/// the same place, with every batch.
const RESERVE: u64 = 1 << 20;

pub(super) enum Order {
    Write(Write),
    Close,
    #[cfg(test)]
    Panic,
}

/// A document to write or, without a body, to delete.
pub(super) struct Write {
    pub(super) encoded: Vec<u8>,
    pub(super) key: Key,
    pub(super) body: Option<Body>,
    pub(super) expected: Expected,
    pub(super) reply: oneshot::Sender<Result<u64, Error>>,
}

impl Write {
    fn answer(self, answer: Result<u64, Error>) {
        // A caller that has gone away does not want to know.
        let _ = self.reply.send(answer);
    }

    fn conflict(self) {
        let key = self.key.clone();
        self.answer(Err(Error::Conflict { key }));
    }
}

pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) file: File,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) journal: Arc<Journal>,
    pub(super) lately: Arc<Lately<Document>>,
    pub(super) lists: Arc<Lately<Arc<[Document]>>>,
    pub(super) last_delete: Arc<AtomicU64>,
    /// The last number that was given out.
    pub(super) counter: u64,
    /// The number up to which the tree says that they may be given out.
    pub(super) reserved: u64,
}

/// Tells those who wait for the journal that nothing will come, also when the thread panics.
struct LastWords(Arc<Journal>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.end("the store's writer has stopped: start the server again; if it stops once more, restore a backup");
    }
}

impl Writer {
    pub(super) fn run(mut self) {
        let _last_words = LastWords(Arc::clone(&self.journal));
        while let Some(order) = self.orders.blocking_recv() {
            // Where others wait for a processor, they have more to write in a moment, and one batch is cheaper than many.
            std::thread::yield_now();
            let mut next = Some(order);
            let mut bytes = 0;
            let mut writes = Vec::new();
            while let Some(order) = next.take() {
                match order {
                    Order::Write(write) => {
                        bytes += write.body.as_ref().map_or(0, |body| body.as_bytes().len());
                        writes.push(write);
                    }
                    // What waits is still done; nothing new comes in.
                    Order::Close => self.orders.close(),
                    #[cfg(test)]
                    #[allow(clippy::panic, reason = "a test wants to see what a panic does")]
                    Order::Panic => panic!("a test asked for it"),
                }
                if writes.len() < BATCH && bytes < BATCH_BYTES {
                    next = self.orders.try_recv().ok();
                }
            }
            self.commit(writes);
        }
        self.journal.end("the store was closed");
    }

    fn commit(&mut self, writes: Vec<Write>) {
        let mut draft = Draft::default();
        let mut accepted = Vec::new();
        let mut conflicts = Vec::new();
        for write in writes {
            if let Err(error) = self.journal.check() {
                write.answer(Err(error));
                continue;
            }
            match draft.current(&self.db, &write, self.counter + 1) {
                Err(error) => {
                    let error = read_failed(&write.key, error);
                    write.answer(Err(error));
                }
                Ok(current) if write.expected.is_met_by(current.map(|at| at.number)) => {
                    self.counter += 1;
                    draft.write(&write, current, self.counter);
                    accepted.push((self.counter, write));
                }
                Ok(_) => conflicts.push(write),
            }
        }
        if accepted.is_empty() {
            // All that the conflicts rest on was synced with an earlier batch.
            conflicts.into_iter().for_each(Write::conflict);
            return;
        }
        if self.counter > self.reserved {
            self.reserved = self.counter + RESERVE;
            let meta = record::write_meta(self.reserved);
            draft.batch.insert(&record::META, meta);
        }
        if draft.deletes {
            // Before a reader can miss what is deleted.
            self.last_delete.store(self.counter, Ordering::SeqCst);
        }
        match self.apply(draft.batch) {
            Ok(()) => self.acknowledge(accepted, conflicts),
            Err(error) => self.fail(error, accepted, conflicts),
        }
    }

    /// Applies a batch and makes it durable.
    fn apply(&self, batch: Batch) -> Result<(), BoxError> {
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        // sled has handed the data to the system; this hands them to the disk.
        self.file.sync_data()?;
        Ok(())
    }

    fn acknowledge(&self, accepted: Vec<(u64, Write)>, conflicts: Vec<Write>) {
        // Before all else: whoever knows of a change, from his answer, a watch or another read, must not find what was there before.
        self.forget(&accepted);
        // Then the journal: whoever has his answer finds his change at or before its position.
        let recorded =
            |(number, write): &(u64, Write)| Recorded::numbered(*number, write.key.clone(), write.body.clone());
        self.journal.append(accepted.iter().map(recorded));
        for (number, write) in accepted {
            write.answer(Ok(number));
        }
        // Only now, because a conflict may rest on a write of the same batch.
        conflicts.into_iter().for_each(Write::conflict);
    }

    fn forget(&self, accepted: &[(u64, Write)]) {
        for (_, write) in accepted {
            self.lately.forget(&write.key);
            for prefix in write.key.prefixes() {
                self.lists.forget(&prefix);
            }
        }
    }

    /// What sled shows and what the disk holds may differ from now on: no more writes, and no reads of what is
    /// not known to be durable.
    fn fail(&self, error: BoxError, accepted: Vec<(u64, Write)>, conflicts: Vec<Write>) {
        tracing::error!(%error, "writing the store failed; it takes no more writes");
        self.forget(&accepted);
        let reason = format!("writing to the disk failed ({error}): mend that, then start the server again");
        self.journal.end(reason.as_str());
        for (_, write) in accepted {
            let key = write.key.clone();
            let source = reason.clone().into();
            write.answer(Err(Error::OutcomeUnknown { key, source }));
        }
        for write in conflicts {
            write.answer(Err(unavailable(&reason)));
        }
    }
}

/// A document's state, as far as the writer needs it.
#[derive(Clone, Copy)]
struct At {
    number: u64,
    chunks: u32,
}

/// A batch in the making, and what it makes of the documents that it touches.
#[derive(Default)]
struct Draft {
    batch: Batch,
    touched: HashMap<Vec<u8>, Option<At>>,
    deletes: bool,
}

impl Draft {
    /// What there is of a document that is to be written with this number.
    ///
    /// Where sled cannot read what a batch changes, it gives up half way, and its log keeps that half: a document's chunks would
    /// be gone and the document not. So all of that is read here: what cannot be read is this write's failure alone.
    fn current(&self, db: &Db, write: &Write, number: u64) -> Result<Option<At>, ::sled::Error> {
        if let Some(body) = &write.body {
            record::look_where_chunks_go(db, number, body.as_bytes())?;
        }
        if let Some(touched) = self.touched.get(&write.encoded) {
            return Ok(*touched);
        }
        let Some(bytes) = db.get(&write.encoded)? else {
            return Ok(None);
        };
        let Some(head) = Head::parse(&bytes) else {
            return Err(::sled::Error::Corruption { at: None, bt: () });
        };
        let at = At { number: head.number, chunks: head.chunks() };
        record::look_at_chunks(db, at.number, at.chunks)?;
        Ok(Some(at))
    }

    fn write(&mut self, write: &Write, current: Option<At>, number: u64) {
        if let Some(At { number, chunks }) = current {
            record::remove_chunks(&mut self.batch, number, chunks);
        }
        let next = match &write.body {
            None => {
                self.batch.remove(write.encoded.as_slice());
                self.deletes = true;
                None
            }
            Some(body) => {
                let json = body.as_bytes();
                let chunks = record::insert(&mut self.batch, &write.encoded, number, json);
                Some(At { number, chunks })
            }
        };
        self.touched.insert(write.encoded.clone(), next);
    }
}
