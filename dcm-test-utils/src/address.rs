//! Where processes of a test's own listen.

#![allow(clippy::panic, reason = "what a test needs and cannot have ends it")]

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// How many ports a process of tests has to itself, as far as there are enough.
const STRETCH: u16 = 16;

/// The first of all, and how many there are: below those that the system gives to whoever lets it choose, so that nobody gets
/// one between this look and the start of the server, seconds later.
const FIRST: u16 = 20_000;
const PORTS: u16 = 10_000;

/// A port of the loopback address that nobody listens on, and that no other test is given.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let stretches = u32::from(PORTS / STRETCH);
    let own = u16::try_from(std::process::id() % stretches).unwrap_or_default() * STRETCH;
    for _ in 0..PORTS {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST + (own + next) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST} on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let first = free_port();
        let _taken = TcpListener::bind(("127.0.0.1", first + 1));
        let second = free_port();
        assert!(second != first && second != first + 1, "{first} {second}");
    }
}
