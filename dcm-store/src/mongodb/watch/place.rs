//! Where a stream of changes stands.
//!
//! A place is a time of the server and a resume token. The token says where a stream goes on, and only its server understands it.
//! The time orders places, so that what was read for all watches can be told apart from what was missed.

use std::sync::Arc;

use dcm_core::store::Position;
use mongodb::{
    bson::{self, Bson, Document, Timestamp},
    change_stream::event::{ChangeStreamEvent, ResumeToken},
};

/// What comes between the store's id and the place.
const MARK: &str = "-s-";

/// How many digits a time has.
const TIME: usize = 16;

/// What a token begins with that is written as its one text, and one that is written as BSON.
const TEXT: char = 't';
const BSON: char = 'b';

/// A token that is written as BSON has so many digits at most. Clients say them, and what is nested deeply would be read until
/// the stack is full.
const LONGEST_BSON: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The server's time (`clusterTime`): seconds, and a number in the second, as [`number`] has it.
    pub(super) time: u64,
    /// Whether this is behind one change, rather than behind all of its time: there may be several.
    pub(super) is_change: bool,
    /// Where a stream goes on.
    token: Option<Arc<str>>,
}

impl Place {
    /// Behind all changes of a time.
    pub(super) fn after(time: u64) -> Self {
        Self { time, is_change: false, token: None }
    }

    /// Behind everything that has happened before the time of a token with which a server says how far it has told all changes.
    /// `None` where the token does not begin with its time, as those of MongoDB's own servers do: the tag of a time, its
    /// seconds and its number in the second (`src/mongo/db/pipeline/resume_token.h`, `src/mongo/db/storage/key_string`).
    pub(super) fn before(token: &ResumeToken) -> Option<Self> {
        let written = write(token)?;
        let time = written.strip_prefix(TEXT)?.strip_prefix("82")?.get(..TIME)?;
        let time = u64::from_str_radix(time, 16).ok()?.checked_sub(1)?;
        Self::after(time).with(token)
    }

    /// With the token that goes on from there.
    pub(super) fn with(self, token: &ResumeToken) -> Option<Self> {
        Some(Self { token: Some(write(token)?), ..self })
    }

    /// Behind a change.
    pub(super) fn of(event: &ChangeStreamEvent<Document>) -> Option<Self> {
        Some(Self { time: number(event.cluster_time?), is_change: true, token: Some(write(&event.id)?) })
    }

    pub(super) fn token(&self) -> Option<ResumeToken> {
        read(self.token.as_deref()?)
    }

    /// Whether it says where a stream goes on, by a token that can be read.
    pub(super) fn is_whole(&self) -> bool {
        self.token().is_some()
    }

    pub(super) fn position(&self, id: &str) -> Position {
        let kind = if self.is_change { 'c' } else { 'a' };
        let token = self.token.as_deref().unwrap_or_default();
        Position::new(format!("{id}{MARK}{:0TIME$x}{kind}{token}", self.time))
    }

    /// Reads a position that the store with this id gave out.
    pub(super) fn parse(id: &str, position: &Position) -> Option<Self> {
        let text = position.as_str().strip_prefix(id)?.strip_prefix(MARK)?;
        let (time, rest) = text.split_at_checked(TIME)?;
        let time = u64::from_str_radix(time, 16).ok()?;
        let (is_change, token) = match rest.strip_prefix('c') {
            Some(token) => (true, token),
            None => (false, rest.strip_prefix('a')?),
        };
        let token = Some(token).filter(|token| !token.is_empty()).map(Arc::from);
        Some(Self { time, is_change, token })
    }

    /// Whether everything that comes after this place comes after `gone` too, the last change of all that are gone.
    pub(super) fn is_behind(&self, gone: &Self) -> bool {
        self.time > gone.time || self.time == gone.time && (!self.is_change || self == gone)
    }
}

/// A time as one number that orders as times do.
pub(in crate::mongodb) fn number(Timestamp { time, increment }: Timestamp) -> u64 {
    u64::from(time) << 32 | u64::from(increment)
}

pub(in crate::mongodb) fn timestamp(time: u64) -> Timestamp {
    Timestamp { time: (time >> 32) as u32, increment: time as u32 }
}

/// A token is a document; of MongoDB's own servers, with one text in it.
fn write(token: &ResumeToken) -> Option<Arc<str>> {
    let Bson::Document(token) = bson::serialize_to_bson(token).ok()? else { return None };
    let text = match (token.get_str("_data"), token.len()) {
        (Ok(data), 1) if data.bytes().all(|b| b.is_ascii_alphanumeric()) => format!("{TEXT}{data}"),
        _ => format!("{BSON}{}", data_encoding::HEXLOWER.encode(&token.to_vec().ok()?)),
    };
    Some(text.into())
}

fn read(text: &str) -> Option<ResumeToken> {
    let token = match text.strip_prefix(TEXT) {
        Some(data) => bson::doc! { "_data": data },
        None => {
            let hex = text.strip_prefix(BSON).filter(|hex| hex.len() <= LONGEST_BSON)?;
            let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
            Document::from_reader(&bytes[..]).ok()?
        }
    };
    bson::deserialize_from_bson(Bson::Document(token)).ok()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    fn place(time: u64, change: Option<&str>) -> Place {
        Place { time, is_change: change.is_some(), token: change.map(Arc::from) }
    }

    #[test]
    fn a_position_is_read_back_with_its_token() {
        for token in [doc! { "_data": "82AB01" }, doc! { "_data": "82.x" }, doc! { "_data": "82", "_typeBits": "01" }] {
            let token: ResumeToken = bson::deserialize_from_bson(Bson::Document(token)).unwrap();
            for is_change in [true, false] {
                let place = Place { is_change, ..Place::after(7 << 32 | 1).with(&token).unwrap() };
                let read = Place::parse("id", &place.position("id")).unwrap();
                assert_eq!(read, place);
                assert_eq!(read.token().unwrap(), token);
            }
        }
    }

    #[test]
    fn a_place_that_does_not_say_where_to_go_on_is_not_whole() {
        let deep = format!("cb{}", "0".repeat(LONGEST_BSON + 2));
        for bad in ["a", "c", "cx", "cb", "cb0g", "ab00", "ax82AB", &deep] {
            let place = Place::parse("id", &Position::new(format!("id-s-0000000000000007{bad}"))).unwrap();
            assert!(!place.is_whole(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_position_of_this_store_is_none() {
        let position = place(7, Some("tAB")).position("id");
        assert!(Place::parse("other", &position).is_none());
        for bad in ["", "id-s-", "id-s-7", "id-s-000000000000000gc", "id-s-0000000000000007x", "id-s-00000000000000é"]
        {
            assert!(Place::parse("id", &Position::new(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_of_mongodb_says_its_time() {
        let token = |data: &str| bson::deserialize_from_bson::<ResumeToken>(doc! { "_data": data }.into()).unwrap();
        // As MongoDB 8 writes it, of `Timestamp(1741186979, 1)`.
        let high_water_mark = token("8267C867A3000000012B0429296E1404");
        let place = Place::before(&high_water_mark).unwrap();
        assert_eq!((place.time, place.is_change), (1_741_186_979 << 32, false));
        assert_eq!(place.token().unwrap(), high_water_mark);
        for other in ["", "82", "9267C867A300000001", "8267C867A30000000", "820000000000000000", "82zzzzzzzzzzzzzzzz"] {
            assert!(Place::before(&token(other)).is_none(), "{other}");
        }
    }

    /// As deep as fits is read on a stack as a worker has it.
    #[test]
    fn the_deepest_token_that_is_read_leaves_room_on_the_stack() {
        let mut deep = Document::new();
        while deep.to_vec().unwrap().len() * 2 <= LONGEST_BSON - 16 {
            deep = doc! { "": deep };
        }
        let hex = data_encoding::HEXLOWER.encode(&deep.to_vec().unwrap());
        assert!(hex.len() <= LONGEST_BSON && hex.len() > LONGEST_BSON - 32, "{}", hex.len());
        let read = std::thread::Builder::new().stack_size(1 << 20).spawn(move || read(&format!("b{hex}")).is_some());
        assert!(read.unwrap().join().unwrap());
    }

    #[test]
    fn nothing_is_missing_behind_what_is_gone() {
        let gone = place(7, Some("b"));
        for (place, is_behind) in [
            (place(6, Some("a")), false),
            (place(6, None), false),
            // Another change of the same time may lie before it or after it.
            (place(7, Some("a")), false),
            (place(7, Some("b")), true),
            (place(7, None), true),
            (place(8, Some("c")), true),
        ] {
            assert_eq!(place.is_behind(&gone), is_behind, "{place:?}");
        }
        // Nothing is gone yet; the first change that would be here has a later time.
        assert!(!place(7, Some("a")).is_behind(&place(7, None)));
        assert!(place(7, None).is_behind(&place(7, None)));
    }
}
