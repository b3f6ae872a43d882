//! The little DER that rcgen can't write: names with several organisations, and a certificate around foreign parts.

use jiff::Timestamp;

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const BOOLEAN: u8 = 0x01;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const ORGANISATION: &[u8] = &[0x55, 4, 10];

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=0x7f => bytes.push(short as u8),
        long => {
            let length: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | length.len() as u8);
            bytes.extend(length);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// One element around others.
pub(super) fn around(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// A subject with a common name and organisations.
pub(super) fn name(common: &str, organisations: &[&str]) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> =
        organisations.iter().map(|organisation| attribute(ORGANISATION, organisation)).collect();
    parts.push(attribute(COMMON_NAME, common));
    element(SEQUENCE, &parts.concat())
}

fn attribute(kind: &[u8], value: &str) -> Vec<u8> {
    let pair = around(SEQUENCE, &[&element(OID, kind), &element(UTF8, value.as_bytes())]);
    element(SET, &pair)
}

/// A moment: two digits of the year until 2049, four after it.
pub(super) fn time(moment: Timestamp) -> Vec<u8> {
    let long = moment.strftime("%Y%m%d%H%M%SZ").to_string();
    if ("1950".."2050").contains(&&long[..4]) {
        element(UTC_TIME, &long.as_bytes()[2..])
    } else {
        element(GENERALIZED_TIME, long.as_bytes())
    }
}

/// A bit string of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    around(BIT_STRING, &[&[0], bytes])
}

/// An extension.
pub(super) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { element(BOOLEAN, &[0xff]) } else { Vec::new() };
    around(SEQUENCE, &[&element(OID, oid), &critical, &element(OCTET_STRING, value)])
}
