use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Metadata, MetadataInput};
use crate::{fault::Faults, name::ControllerName, store::Stored};

/// Where another process of DCM, or of its surroundings, is to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Controller {
    /// Its name and description.
    pub metadata: Metadata<ControllerName>,
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// Its port there.
    pub port: u16,
    /// EMCO's type of a controller (`placement`, `action`); kept for its clients.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub controller_type: Option<String>,
    /// EMCO's order among controllers of one type; kept for its clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
}

impl Controller {
    /// The largest priority.
    pub const HIGHEST_PRIORITY: u32 = 1_000_000;
}

impl Stored for Controller {
    const KIND: &'static str = "Controller";
    const VERSION: u32 = 1;
}

/// A controller as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllerInput {
    /// See [`Controller::metadata`].
    pub metadata: MetadataInput,
    /// See [`Controller::host`].
    pub host: Option<String>,
    /// See [`Controller::port`].
    pub port: Option<u64>,
    /// See [`Controller::controller_type`].
    pub controller_type: Option<String>,
    /// See [`Controller::priority`].
    pub priority: Option<u64>,
}

impl ControllerInput {
    /// Checks all of it; see [`MetadataInput::check`] for `known`.
    pub fn check(self, known: Option<&ControllerName>, faults: &mut Faults) -> Option<Controller> {
        let metadata = self.metadata.check("/metadata", known, faults);
        let host = match self.host {
            Some(text) => faults.check("/spec/host", read_host(&text)),
            None => {
                faults.add("/spec/host", "is required: a DNS name or an IP address");
                None
            }
        };
        let port = match self.port {
            Some(number) => {
                let port = u16::try_from(number).ok().filter(|port| *port > 0);
                faults.check("/spec/port", port.ok_or("must be a port: 1 to 65535"))
            }
            None => {
                faults.add("/spec/port", "is required: a port from 1 to 65535");
                None
            }
        };
        if self.controller_type.as_deref().is_some_and(|text| !is_type(text)) {
            faults.add("/spec/type", "must be 1 to 48 characters, letters, digits, '-', '_' or '.'");
        }
        let priority = self.priority.map(|number| {
            let priority = u32::try_from(number).ok().filter(|priority| *priority <= Controller::HIGHEST_PRIORITY);
            let rule = || format!("must be a number from 0 to {}", Controller::HIGHEST_PRIORITY);
            faults.check("/spec/priority", priority.ok_or_else(rule))
        });
        let priority = match priority {
            None => None,
            Some(checked) => Some(checked?),
        };
        Some(Controller {
            metadata: metadata?,
            host: host?,
            port: port?,
            controller_type: self.controller_type,
            priority,
        })
    }
}

fn is_type(text: &str) -> bool {
    (1..=48).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Gives the host in the form in which it is kept: an IPv6 address may come in brackets, as in a URL.
fn read_host(text: &str) -> Result<String, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return if bare == text || address.is_ipv6() { Ok(bare.to_owned()) } else { Err(HOST) };
    }
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    // Digits alone are an address that is not one.
    let last = bare.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit());
    let is_name = bare == text && text.len() <= 253 && text.split('.').all(label) && !is_number;
    if is_name { Ok(text.to_owned()) } else { Err(HOST) }
}

const HOST: &str = "must be a DNS name or an IP address, without a scheme, port or path (\"dcm-ca.dcm.svc\")";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        for good in ["dcm-ca", "CA.example.org", "dcm_ca", "10.0.0.1", "2001:db8::1", "a1", &"h".repeat(63)] {
            assert_eq!(read_host(good).as_deref(), Ok(good));
        }
        assert_eq!(read_host("[2001:db8::1]").as_deref(), Ok("2001:db8::1"));
        for bad in [
            "",
            "https://h",
            "h:9078",
            "h/x",
            "a..b",
            ".a",
            "-a",
            "a-",
            "256.1.1.1",
            "[10.0.0.1]",
            "[h]",
            "ä",
            "a b",
            "u@h",
        ] {
            assert!(read_host(bad).is_err(), "{bad}");
        }
        assert!(read_host(&"h".repeat(64)).is_err());
    }
}
