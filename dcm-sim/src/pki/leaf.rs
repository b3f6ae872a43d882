//! Client certificates, put together from the parts of a request: subject and key are taken over byte for byte.

use data_encoding::BASE64;
use jiff::Timestamp;
use rcgen::SigningKey;

use super::der::{self, INTEGER, OID, SEQUENCE, around, element, extension};
use super::{Ca, serial};
use crate::error::Error;

/// Bits of the key usage extension, the first one highest.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_ENCIPHERMENT: u8 = 0x20;

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// What is to be signed.
#[derive(Debug)]
pub(crate) struct Leaf<'a> {
    /// DER of the subject's name.
    pub(crate) subject: &'a [u8],
    /// DER of the subject's public key info.
    pub(crate) public_key: &'a [u8],
    /// DER of the alternative names.
    pub(crate) alternative_names: Option<&'a [u8]>,
    pub(crate) key_usage: u8,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Ca {
    /// Signs a client certificate; the answer is PEM.
    pub(crate) fn sign(&self, leaf: &Leaf<'_>) -> Result<String, Error> {
        let algorithm = around(SEQUENCE, &[&element(OID, ECDSA_WITH_SHA256)]);
        let body = around(
            SEQUENCE,
            &[
                &element(0xa0, &element(INTEGER, &[2])),
                &element(INTEGER, &serial()),
                &algorithm,
                &self.subject,
                &around(SEQUENCE, &[&der::time(leaf.not_before), &der::time(leaf.not_after)]),
                leaf.subject,
                leaf.public_key,
                &element(0xa3, &self.extensions(leaf)),
            ],
        );
        let signature = self.issuer.key().sign(&body).map_err(Error::certificate)?;
        let certificate = around(SEQUENCE, &[&body, &algorithm, &der::bits(&signature)]);
        Ok(pem("CERTIFICATE", &certificate))
    }

    fn extensions(&self, leaf: &Leaf<'_>) -> Vec<u8> {
        let unused = leaf.key_usage.trailing_zeros().min(7) as u8;
        let key_usage = element(der::BIT_STRING, &[unused, leaf.key_usage]);
        let client_auth = around(SEQUENCE, &[&element(OID, CLIENT_AUTH)]);
        let authority = around(SEQUENCE, &[&element(0x80, &self.key_id)]);
        let alternative_names =
            leaf.alternative_names.map(|names| extension(ALTERNATIVE_NAMES, false, names)).unwrap_or_default();
        // A bit string without any bit is no valid key usage.
        let key_usage = match leaf.key_usage {
            0 => Vec::new(),
            _ => extension(KEY_USAGE, true, &key_usage),
        };
        around(
            SEQUENCE,
            &[
                &key_usage,
                &extension(EXTENDED_KEY_USAGE, false, &client_auth),
                &extension(BASIC_CONSTRAINTS, true, &element(SEQUENCE, &[])),
                &extension(AUTHORITY_KEY_ID, false, &authority),
                &alternative_names,
            ],
        )
    }
}

/// What a common name can hold: 64 bytes.
pub(crate) fn common_name(text: &str) -> &str {
    let end =
        text.char_indices().map(|(start, c)| start + c.len_utf8()).take_while(|end| *end <= 60).last().unwrap_or(0);
    &text[..end]
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = BASE64.encode(bytes);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
