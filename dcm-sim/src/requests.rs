//! A bounded log of what a cluster was asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// One request, as a test may want to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Who asked, empty where that was not found out.
    pub user: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The HTTP status of the answer, 0 where none was given.
    pub status: u16,
}

/// The last requests of a cluster.
#[derive(Debug)]
pub(crate) struct RequestLog {
    limit: usize,
    records: Mutex<VecDeque<RequestRecord>>,
}

impl RequestLog {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, records: Mutex::default() }
    }

    pub(crate) fn push(&self, record: RequestRecord) {
        if self.limit == 0 {
            return;
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == self.limit {
            records.pop_front();
        }
        records.push_back(record);
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
