//! How single values are read. Each error says what is allowed.

use std::{ffi::OsStr, net::SocketAddr, time::Duration};

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};
use dcm_core::name::Namespace;

/// Reads a store, and quotes nothing of it: there may be a password in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store;

impl TypedValueParser for Store {
    type Value = dcm_store::Config;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        let failed = |reason: String| {
            Error::raw(
                ErrorKind::ValueValidation,
                format!("the value of --store (or DCM_STORE) cannot be used: {reason}\n"),
            )
            .with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| failed("it is not UTF-8".to_owned()))?;
        text.parse().map_err(|error: dcm_store::InvalidUrl| failed(error.to_string()))
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:9077 or [::1]:9077")
}

pub(super) fn host(text: &str) -> Result<String, &'static str> {
    let sane = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b) || b"[]:".contains(&b));
    let plain = text.starts_with('[') == text.ends_with(']') && (text.starts_with('[') || !text.contains(':'));
    if sane && plain { Ok(text.to_owned()) } else { Err("must be a host name or an IP address without a port") }
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    Namespace::new(text).map(String::from).map_err(|error| error.to_string())
}

pub(super) fn count(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    count.ok_or("must be a whole number from 1 to 1000000")
}

/// A time span: a whole number and a unit.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: &str = "must be a whole number with a unit: ms, s, m, h or d, such as 30s, 10m or 90d; or 0";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(ALLOWED)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| ALLOWED)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(ALLOWED),
    };
    // A century is as good as for ever, and no sum overflows.
    let total = number.checked_mul(milliseconds).filter(|total| *total <= 36_500 * 86_400_000);
    total.map(Duration::from_millis).ok_or("must be at most 36500d")
}

/// A switch, as it is written in an environment variable.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" | "" => Ok(false),
        _ => Err("must be true or false"),
    }
}

/// A time span that is not nothing.
pub(super) fn period(text: &str) -> Result<Duration, &'static str> {
    let period = duration(text).ok().filter(|period| !period.is_zero());
    period
        .ok_or("must be a whole number above 0 with a unit: ms, s, m, h or d, such as 30s, 10m or 90d; at most 36500d")
}

/// The life of a certificate: Kubernetes signs none for less than ten minutes.
pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let lifetime = duration(text)?;
    if lifetime < Duration::from_secs(600) { Err("must be at least 10m, such as 90d") } else { Ok(lifetime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_has_a_unit() {
        for (text, seconds) in [("0", 0), ("1s", 1), ("1500ms", 1), ("10m", 600), ("2h", 7200), ("90d", 7_776_000)] {
            assert_eq!(duration(text).map(|d| d.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "1", "s", "1w", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_switch_is_true_or_false() {
        for (text, value) in [("true", Ok(true)), ("1", Ok(true)), ("False", Ok(false)), ("", Ok(false))] {
            assert_eq!(boolean(text), value, "{text}");
        }
        assert!(boolean("maybe").is_err());
    }

    #[test]
    fn a_host_has_no_port() {
        for good in ["dcm.example.com", "10.0.0.1", "[::2]"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "a:1", "a b", "http://a", "::1", "[::1"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
