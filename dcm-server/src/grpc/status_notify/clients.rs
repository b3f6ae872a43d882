//! Who is registered.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dcm_core::error::ErrorKind;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::status::Kind;

/// A client's id has at most so many bytes; EMCO's clients make UUIDs.
const LONGEST: usize = 256;

/// A client, as he calls himself. Those with certificates of different names have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientId {
    who: Option<String>,
    id: String,
}

impl ClientId {
    pub(super) fn new(who: Option<String>, id: &str) -> Result<Self, Problem> {
        if id.is_empty() || id.len() > LONGEST {
            let detail = format!("must have 1 to {LONGEST} bytes, and be another one for each registration: a UUID");
            return Err(Problem::parameter("clientId", detail));
        }
        Ok(Self { who, id: id.to_owned() })
    }
}

/// Those who are registered at this server. Each holds a place among the watches, which bounds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<ClientId, Arc<CancellationToken>>>>);

impl Clients {
    /// Registers one, for as long as what is returned lives, or until he is deregistered.
    pub(super) fn register(&self, id: ClientId) -> Result<Registered, Problem> {
        let end = Arc::new(CancellationToken::new());
        match self.lock().entry(id.clone()) {
            Entry::Occupied(_) => {
                let detail = "there is a registration with this clientId already; give another one, or deregister it";
                return Err(Problem::new(Kind::Core(ErrorKind::AlreadyExists), detail));
            }
            Entry::Vacant(free) => free.insert(Arc::clone(&end)),
        };
        Ok(Registered { clients: self.clone(), id, end })
    }

    /// Ends a registration, if there is one; its id is free again at once.
    pub(super) fn deregister(&self, id: &ClientId) {
        if let Some(end) = self.lock().remove(id) {
            end.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Arc<CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for a registration.
#[derive(Debug)]
pub(super) struct Registered {
    clients: Clients,
    id: ClientId,
    end: Arc<CancellationToken>,
}

impl Registered {
    /// Waits until it is deregistered.
    pub(super) async fn ended(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut clients = self.clients.lock();
        // The id may be another registration's by now.
        if clients.get(&self.id).is_some_and(|end| Arc::ptr_eq(end, &self.end)) {
            clients.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(who: Option<&str>, id: &str) -> ClientId {
        ClientId::new(who.map(str::to_owned), id).unwrap()
    }

    #[test]
    fn an_id_has_one_registration_at_a_time() {
        let clients = Clients::default();
        let first = clients.register(id(None, "a")).unwrap();
        assert_eq!(clients.register(id(None, "a")).unwrap_err().kind(), Kind::Core(ErrorKind::AlreadyExists));
        drop(first);
        let _second = clients.register(id(None, "a")).unwrap();
        assert_eq!(clients.lock().len(), 1);
    }

    #[test]
    fn what_was_deregistered_takes_nothing_from_who_came_after_it() {
        let clients = Clients::default();
        let first = clients.register(id(None, "a")).unwrap();
        clients.deregister(&id(None, "a"));
        assert!(first.end.is_cancelled());
        let second = clients.register(id(None, "a")).unwrap();
        drop(first);
        assert!(clients.register(id(None, "a")).is_err());
        assert!(!second.end.is_cancelled());
        drop(second);
        assert!(clients.lock().is_empty());
    }

    #[test]
    fn nobody_ends_the_registration_of_one_with_another_certificate() {
        let clients = Clients::default();
        let registered = clients.register(id(Some("one"), "a")).unwrap();
        clients.deregister(&id(Some("two"), "a"));
        clients.deregister(&id(None, "a"));
        assert!(!registered.end.is_cancelled());
        let _others = clients.register(id(Some("two"), "a")).unwrap();
        clients.deregister(&id(Some("one"), "a"));
        assert!(registered.end.is_cancelled());
    }

    #[test]
    fn ids_are_bounded() {
        assert!(ClientId::new(None, "").is_err());
        assert!(ClientId::new(None, &"x".repeat(LONGEST)).is_ok());
        assert!(ClientId::new(None, &"x".repeat(LONGEST + 1)).is_err());
    }
}
