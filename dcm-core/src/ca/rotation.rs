//! The steps of a rotation as one pure table.

use super::{Error, Generation, Rotation};
use crate::model::CertificateAuthority;

/// What a step comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It was taken already.
    Done,
    /// A root of this generation is to be made, and trusted.
    Make(Generation),
    /// This is to be written.
    Write(Box<CertificateAuthority>),
}

pub(crate) fn next(now: &CertificateAuthority, step: Rotation) -> Result<Next, Error> {
    match step {
        Rotation::Introduce(generation) => introduce(now, generation),
        Rotation::Switch(generation) => switch(now, generation),
        Rotation::Retire(generation) => retire(now, generation),
    }
}

fn introduce(now: &CertificateAuthority, generation: Generation) -> Result<Next, Error> {
    if now.trusted_root(generation).is_some() {
        return Ok(Next::Done);
    }
    if let Some(other) = now.next.as_ref().or(now.previous.as_ref()) {
        let other = other.generation;
        return refuse(format!(
            "a rotation is going on: the root of the generation {other} is trusted beside the one that signs; retire one \
             of the two first"
        ));
    }
    match now.latest.next() {
        Some(next) if next == generation => Ok(Next::Make(next)),
        Some(next) => {
            refuse(format!("a root of the generation {generation} cannot be introduced: the next one is {next}"))
        }
        None => refuse("no further generation of roots is left".to_owned()),
    }
}

fn switch(now: &CertificateAuthority, generation: Generation) -> Result<Next, Error> {
    if now.root.generation == generation {
        return Ok(Next::Done);
    }
    match &now.next {
        Some(next) if next.generation == generation => {
            let previous = Some(now.root.clone());
            Ok(write(CertificateAuthority { root: next.clone(), next: None, previous, ..now.clone() }))
        }
        _ => refuse(format!(
            "the root of the generation {generation} is not one that was introduced: introduce it first"
        )),
    }
}

fn retire(now: &CertificateAuthority, generation: Generation) -> Result<Next, Error> {
    let is_it =
        |root: &Option<_>| root.as_ref().is_some_and(|root: &crate::model::CaRoot| root.generation == generation);
    if now.root.generation == generation {
        refuse(format!("the root of the generation {generation} is the one that signs: switch to another one first"))
    } else if is_it(&now.next) {
        Ok(write(CertificateAuthority { next: None, ..now.clone() }))
    } else if is_it(&now.previous) {
        Ok(write(CertificateAuthority { previous: None, ..now.clone() }))
    } else if generation <= now.latest {
        Ok(Next::Done)
    } else {
        refuse(format!("there never was a root of the generation {generation}; the latest is {}", now.latest))
    }
}

fn write(authority: CertificateAuthority) -> Next {
    Next::Write(Box::new(authority))
}

fn refuse(reason: String) -> Result<Next, Error> {
    Err(Error::OutOfOrder(reason))
}
